/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of halobuzzctl: long ones with a value behind a blank or "=", flags, and the few short
 * ones that people know from curl. Options and arguments may be mixed.
 */
#include "ctl.h"

#include <string.h>

#include <apr_strings.h>

/* Does arg name this option? @param value  what stands behind "=", or NULL */
static int is_option(const char **value, const char *arg, const char *name)
{
    apr_size_t len = strlen(name);

    *value = NULL;
    if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, name, len) != 0) {
        return 0;
    }
    if (arg[2 + len] == '=') {
        *value = arg + 3 + len;
        return 1;
    }
    return arg[2 + len] == '\0';
}

static int read_limit(int *limit, const ctl_t *ctl, const ctl_option_t *option, const char *text)
{
    char *end;
    apr_int64_t n = apr_strtoi64(text, &end, 10);

    if (*end != '\0' || n < 1 || n > 1000) {
        ctl_misuse(ctl, "--%s takes a number from 1 to 1000", option->name);
        return 0;
    }
    *limit = (int)n;
    return 1;
}

/* One option at argv[0]. Gives how many words it took, 0 when it is unknown, -1 after saying why. */
static int take(ctl_t *ctl, int argc, const char *const *argv, const ctl_option_t *options)
{
    const char *value;
    int n_words;

    for (; options != NULL && options->name != NULL; options++) {
        if (!is_option(&value, argv[0], options->name)) {
            continue;
        }
        if (options->flag != NULL) {
            if (value != NULL) {
                ctl_misuse(ctl, "--%s takes no value", options->name);
                return -1;
            }
            *options->flag = 1;
            return 1;
        }
        if (value == NULL && argc < 2) {
            ctl_misuse(ctl, "--%s needs a value", options->name);
            return -1;
        }
        n_words = value != NULL ? 1 : 2;
        value = value != NULL ? value : argv[1];
        if (options->limit == NULL) {
            *options->value = value;
        }
        else if (!read_limit(options->limit, ctl, options, value)) {
            return -1;
        }
        return n_words;
    }
    return 0;
}

int ctl_options(ctl_t *ctl, int argc, const char *const *argv, const ctl_option_t *options,
                const char **args, int min, int max)
{
    const ctl_option_t common[] = {
        { "settings", &ctl->settings_path, NULL },
        { "json", NULL, &ctl->wants_json },
        { "insecure", NULL, &ctl->is_insecure },
        { "verbose", NULL, &ctl->is_verbose },
        { NULL, NULL, NULL }
    };
    int n_args = 0, no_more = 0, i = 0;

    while (i < argc) {
        int n = 0;

        if (no_more || argv[i][0] != '-' || argv[i][1] == '\0') {
            if (n_args == max) {
                return ctl_misuse(ctl, "\"%s\" is one argument too many", argv[i]);
            }
            args[n_args++] = argv[i++];
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            no_more = 1;
            n = 1;
        }
        else if (strcmp(argv[i], "-k") == 0) {
            ctl->is_insecure = 1;
            n = 1;
        }
        else if (strcmp(argv[i], "-v") == 0) {
            ctl->is_verbose = 1;
            n = 1;
        }
        if (n == 0) {
            n = take(ctl, argc - i, argv + i, options);
        }
        if (n == 0) {
            n = take(ctl, argc - i, argv + i, common);
        }
        if (n < 0) {
            return CTL_USAGE;
        }
        if (n == 0) {
            return ctl_misuse(ctl, "there is no option %s here", argv[i]);
        }
        i += n;
    }
    if (args != NULL) {
        args[n_args] = NULL;
    }
    /* A script that would not understand the answer hears of it before anything is done. */
    if (ctl->wants_json && strstr(ctl->usage, "[--json]") == NULL) {
        return ctl_misuse(ctl, "its answer is words, there is no --json here");
    }
    return n_args < min ? ctl_misuse(ctl, "an argument is missing") : CTL_OK;
}
