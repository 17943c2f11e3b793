/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limiter under thousands of thread schedules. Its threads are coroutines here, and
 * each atomic step of the table may hand over to another one, so orders that a real
 * scheduler shows once a year come up at once, and a seed brings one back.
 *
 * After every step an observer reads the whole table and checks what hb_limit.c promises:
 * a key stands in one slot, ends only grow, a slot changes its key with its end, no
 * window counts more than its maximum. At the end, the windows of a key must have counted
 * exactly what was admitted for it.
 */
static void step(void);
#define HB_LIMIT_STEP() step()
#include "modules/core/hb_limit.c"

#include "hb_test.h"

#include <stdlib.h>
#include <ucontext.h>

#define TASKS 4
#define STACK_BYTES (64 * 1024)
#define KEYS 11
#define TABLE_BYTES (sizeof(header_t) + (SLOTS + 1) * sizeof(pair_t))

typedef struct task_t {
    ucontext_t context;
    char *stack;
    int is_over;
} task_t;

typedef struct world_t {
    hb_limit_t *limit;
    hb_limit_rule_t rule;
    int n_keys;
    int n_takes;                /* of a task */
    int can_die;
    apr_time_t now;
    int clock_moves;
    task_t tasks[TASKS];
    ucontext_t scheduler;
    int running;                /* task, or -1 */
    apr_uint64_t hashes[KEYS];
    int admitted[KEYS];         /* told the caller */
    int counted[KEYS];          /* by windows that are gone */
    int asked[KEYS];
    int full;
    pair_t seen[SLOTS];
} world_t;

static world_t world;
static unsigned long long dice_state;

static unsigned int dice(unsigned int n)
{
    dice_state = dice_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned int)(dice_state >> 33) % n;
}

static int key_at(apr_uint64_t hash)
{
    int i;

    for (i = 0; i < world.n_keys; i++) {
        if (world.hashes[i] == hash) {
            return i;
        }
    }
    return -1;
}

/* As ck_assert_msg, which tells its parent each time that it held. */
#define HOLDS(condition, ...) do { if (!(condition)) { ck_abort_msg(__VA_ARGS__); } } while (0)

/* Plain reads: nothing else runs meanwhile. */
static void observe(void)
{
    int i, other;

    for (i = 0; i < SLOTS; i++) {
        pair_t is = world.limit->slots[i];
        pair_t *was = &world.seen[i];
        int key = key_at(was->a);

        for (other = 0; other < i; other++) {
            HOLDS(is.a == 0 || is.a != world.limit->slots[other].a,
                  "a key stands in two slots");
        }
        HOLDS(END(is.b) >= END(was->b), "an end went back");
        HOLDS(is.a == was->a || END(is.b) > END(was->b),
              "a key was replaced within a window");
        HOLDS(COUNT(is.b) <= world.rule.max, "a window counted too much");
        if (END(is.b) != END(was->b) && key >= 0) {
            world.counted[key] += (int)COUNT(was->b);
        }
        *was = is;
    }
}

static void step(void)
{
    if (world.running >= 0) {
        observe();
        if (dice(3) == 0) {
            swapcontext(&world.tasks[world.running].context, &world.scheduler);
        }
    }
}

static void run_task(void)
{
    int i;

    for (i = 0; i < world.n_takes; i++) {
        hb_limit_verdict_t verdict;
        int key = (int)dice((unsigned int)world.n_keys);

        /* Clocks are read, then time passes before the call goes on. */
        world.asked[key]++;
        hb_limit_take(&verdict, world.limit, &world.rule, &key, sizeof(key),
                      world.now + (apr_time_t)dice(3000));
        if (verdict.was_full) {
            world.full++;
        }
        else {
            world.admitted[key] += verdict.is_allowed;
        }
        if (world.clock_moves && dice(2) == 0) {
            world.now += 1000 * (apr_time_t)(dice(8) == 0 ? GRACE_MSEC : dice(4));
        }
    }
    world.tasks[world.running].is_over = 1;
    swapcontext(&world.tasks[world.running].context, &world.scheduler);
}

static void play(unsigned int seed)
{
    volatile int left = TASKS;  /* getcontext() returns like setjmp() */
    int i;

    dice_state = seed * 2654435761ULL + 99;
    for (i = 0; i < world.n_keys; i++) {
        world.hashes[i] = hash_of(world.limit, &world.rule, &i, sizeof(i));
    }
    memcpy(world.seen, world.limit->slots, sizeof(world.seen));
    for (i = 0; i < TASKS; i++) {
        task_t *task = &world.tasks[i];

        getcontext(&task->context);
        task->context.uc_stack.ss_sp = task->stack;
        task->context.uc_stack.ss_size = STACK_BYTES;
        task->context.uc_link = NULL;
        task->is_over = 0;
        makecontext(&task->context, run_task, 0);
    }
    while (left > 0) {
        do {
            i = (int)dice(TASKS);
        } while (world.tasks[i].is_over);
        world.running = i;
        swapcontext(&world.scheduler, &world.tasks[i].context);
        world.running = -1;
        if (!world.tasks[i].is_over && world.can_die && left > 1 && dice(40) == 0) {
            world.tasks[i].is_over = 1;
        }
        if (world.tasks[i].is_over) {
            left--;
        }
    }
    observe();
    for (i = 0; i < SLOTS; i++) {
        int key = key_at(world.limit->slots[i].a);

        if (key >= 0) {
            world.counted[key] += (int)COUNT(world.limit->slots[i].b);
        }
    }
}

/* A one-bucket table whose slots were all used under an older rule. */
static void prepare(apr_uint32_t max, apr_interval_time_t window_usec, int n_keys)
{
    static const hb_limit_rule_t older = { "older", 1, 1000 };
    static char *memory;
    static char *stacks;
    apr_size_t bytes = TABLE_BYTES;
    hb_limit_verdict_t verdict;
    int i;

    if (memory == NULL) {
        apr_size_t spare = TABLE_BYTES + HB_MEMORY_LINE;

        stacks = malloc(TASKS * STACK_BYTES);
        memory = hb_memory_align(malloc(spare), &spare);
    }
    memset(&world, 0, sizeof(world));
    memset(memory, 0, TABLE_BYTES);
    world.running = -1;
    for (i = 0; i < TASKS; i++) {
        world.tasks[i].stack = stacks + i * STACK_BYTES;
    }
    ck_assert_int_eq(hb_limit_open(&world.limit, memory, bytes, hb_test_pool), APR_SUCCESS);
    for (i = 0; i < SLOTS; i++) {
        hb_limit_take(&verdict, world.limit, &older, &i, sizeof(i),
                      APR_USEC_PER_SEC + i % 3 * 1000);
    }
    world.now = 20 * APR_USEC_PER_SEC;
    world.rule.name = "rule";
    world.rule.max = max;
    world.rule.window_usec = window_usec;
    world.n_keys = n_keys;
    world.n_takes = 4;
}

START_TEST(one_window_admits_exactly_its_maximum)
{
    unsigned int seed;
    int i;

    for (seed = 1; seed <= 4000; seed++) {
        prepare(2, 3600 * APR_USEC_PER_SEC, 1 + (int)(seed % SLOTS));
        play(seed);
        HOLDS(world.full == 0, "seed %u: full", seed);
        for (i = 0; i < world.n_keys; i++) {
            int wanted = world.asked[i] < 2 ? world.asked[i] : 2;

            HOLDS(world.admitted[i] == wanted, "seed %u: %d of %d admitted", seed,
                  world.admitted[i], wanted);
            HOLDS(world.counted[i] == wanted, "seed %u: %d counted", seed,
                  world.counted[i]);
        }
    }
}
END_TEST

START_TEST(windows_that_end_and_slots_that_change_hands_lose_nothing)
{
    unsigned int seed;
    int i;

    for (seed = 1; seed <= 4000; seed++) {
        prepare(2, 2000, 1 + (int)(seed % KEYS));
        world.clock_moves = 1;
        play(seed);
        for (i = 0; i < world.n_keys; i++) {
            HOLDS(world.admitted[i] == world.counted[i],
                  "seed %u: %d admitted, %d counted", seed, world.admitted[i],
                  world.counted[i]);
        }
    }
}
END_TEST

START_TEST(threads_that_stop_for_ever_stop_nobody)
{
    unsigned int seed;
    int i;

    for (seed = 1; seed <= 4000; seed++) {
        prepare(2, 3600 * APR_USEC_PER_SEC, 1 + (int)(seed % SLOTS));
        world.can_die = 1;
        play(seed);
        HOLDS(world.full == 0, "seed %u: full", seed);
        for (i = 0; i < world.n_keys; i++) {
            hb_limit_verdict_t verdict;

            ck_assert_int_ge(world.counted[i], world.admitted[i]);
            /* Whoever comes later is counted with those that were told or died. */
            do {
                hb_limit_take(&verdict, world.limit, &world.rule, &i, sizeof(i), world.now);
                world.counted[i] += verdict.is_allowed;
            } while (verdict.is_allowed);
            HOLDS(world.counted[i] == 2, "seed %u: %d", seed, world.counted[i]);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        one_window_admits_exactly_its_maximum,
        windows_that_end_and_slots_that_change_hands_lose_nothing,
        threads_that_stop_for_ever_stop_nobody, NULL
    };
    return hb_test_main("hb_limit_schedules", cases);
}
