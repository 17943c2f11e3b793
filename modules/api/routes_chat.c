/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of chat and of running a room. The rules are hb_chat.c's and hb_room*.c's; who is
 * connected to the sidecar is told of all of it.
 */
#include "mod_halobuzz_api.h"

#include "hb_chat.h"
#include "hb_reaction.h"
#include "hb_role.h"
#include "hb_room.h"
#include "hb_wordlist.h"

static const char *stream_id(const hb_ap_call_t *call)
{
    return hb_ap_path_value(call, "id");
}

static const char *user_id(const hb_ap_call_t *call)
{
    return hb_ap_path_value(call, "userId");
}

static apr_status_t history(hb_ap_call_t *call)
{
    return hb_chat_history(&call->reply, call->op, stream_id(call), hb_ap_limit_of(call),
                           hb_ap_after_of(call));
}

static apr_status_t say(hb_ap_call_t *call)
{
    return hb_chat_say(&call->reply, call->op, stream_id(call), call->input);
}

static apr_status_t take_back(hb_ap_call_t *call)
{
    return hb_chat_delete(call->op, stream_id(call), hb_ap_path_value(call, "messageId"));
}

static apr_status_t react(hb_ap_call_t *call)
{
    return hb_reaction_send(call->op, stream_id(call), call->input);
}

static apr_status_t state(hb_ap_call_t *call)
{
    return hb_room_state(&call->reply, call->op, stream_id(call));
}

static apr_status_t edit(hb_ap_call_t *call)
{
    return hb_room_edit(&call->reply, call->op, stream_id(call), call->input);
}

static apr_status_t pin(hb_ap_call_t *call)
{
    return hb_room_pin(&call->reply, call->op, stream_id(call),
                       hb_json_string(call->input, "messageId"));
}

static apr_status_t unpin(hb_ap_call_t *call)
{
    hb_json_t *pinned;

    return hb_room_pin(&pinned, call->op, stream_id(call), NULL);
}

static apr_status_t moderators(hb_ap_call_t *call)
{
    return hb_room_moderators(&call->reply, call->op, stream_id(call), hb_ap_limit_of(call),
                              hb_ap_after_of(call));
}

static apr_status_t appoint(hb_ap_call_t *call)
{
    return hb_room_moderator_set(call->op, stream_id(call), user_id(call));
}

static apr_status_t dismiss(hb_ap_call_t *call)
{
    return hb_room_moderator_clear(call->op, stream_id(call), user_id(call));
}

static apr_status_t restraints(hb_ap_call_t *call)
{
    return hb_room_restraints(&call->reply, call->op, stream_id(call), hb_ap_limit_of(call),
                              hb_ap_after_of(call));
}

static apr_status_t restrain(hb_ap_call_t *call)
{
    return hb_room_restrain(&call->reply, call->op, stream_id(call), user_id(call),
                            call->input);
}

static apr_status_t lift(hb_ap_call_t *call)
{
    return hb_room_lift(call->op, stream_id(call), user_id(call));
}

/* --- words: those of a room, or without one of the site --- */

static const char *list_of(const hb_ap_call_t *call)
{
    return *stream_id(call) != '\0' ? stream_id(call) : NULL;
}

static apr_status_t words(hb_ap_call_t *call)
{
    return hb_wordlist_list(&call->reply, call->op, list_of(call), hb_ap_limit_of(call),
                            hb_ap_after_of(call));
}

static apr_status_t set_word(hb_ap_call_t *call)
{
    return hb_wordlist_set(&call->reply, call->op, list_of(call), call->input);
}

static apr_status_t remove_word(hb_ap_call_t *call)
{
    return hb_wordlist_remove(call->op, list_of(call), hb_ap_path_value(call, "wordId"));
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/streams/{id}/messages", .rate = "api", .action = history,
      .sentence = "what was said in a room, newest first; without deleted messages and blocked people, so pages may be short",
      .query = HB_F_LIST, .output = "[chatMessage]",
      .errors = "input.invalid cursor.invalid stream.unknown", .tag = "chat" },
    { .method = M_HB_POST, .path = "/streams/{id}/messages",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_CREATED, .rate = "api", .action = say,
      .sentence = "say something in a live room, as chat:new does; sent twice with one clientId, it is said once",
      .input = HB_F_CHAT_SAY, .output = "chatSaid",
      .errors = "input.invalid stream.unknown stream.state stream.ended user.blocked user.underage "
                "room.muted room.kicked room.slow rate.limited room.followers_only room.og_only "
                "room.links_off room.words", .tag = "chat" },
    { .method = M_HB_DELETE, .path = "/streams/{id}/messages/{messageId}",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .rate = "api", .action = take_back,
      .sentence = "take a message back: its author, the host, or a moderator",
      .errors = "stream.unknown message.unknown forbidden", .tag = "chat" },
    { .method = M_HB_POST, .path = "/streams/{id}/reactions",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_NOTHING, .rate = "api", .action = react,
      .sentence = "react to what goes on in a live room; all that come within half a second are told as one event with counts",
      .input = HB_F_REACTION_SEND,
      .errors = "input.invalid stream.unknown stream.state stream.ended user.blocked room.muted "
                "room.kicked rate.limited", .tag = "chat" },
    { .method = M_HB_GET, .path = "/streams/{id}/room", .rate = "api", .action = state,
      .sentence = "how a room is run, what is pinned, and what the caller is in it",
      .output = "roomState", .errors = "stream.unknown", .tag = "chat" },
    { .method = M_HB_PATCH, .path = "/streams/{id}/room", .needs = HB_NEED_USER | HB_NEED_BODY,
      .rate = "api", .action = edit,
      .sentence = "change the rules of one's room; they hold for later streams too",
      .input = HB_F_ROOM_EDIT, .output = "roomRules",
      .errors = "input.invalid stream.unknown forbidden", .tag = "chat" },
    { .method = M_HB_PUT, .path = "/streams/{id}/pin", .needs = HB_NEED_USER | HB_NEED_BODY,
      .rate = "api", .action = pin, .sentence = "pin a message on top of the room",
      .input = HB_F_ROOM_PIN, .output = "chatPinned",
      .errors = "input.invalid stream.unknown message.unknown forbidden", .tag = "chat" },
    { .method = M_HB_DELETE, .path = "/streams/{id}/pin",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .rate = "api", .action = unpin,
      .sentence = "pin nothing", .errors = "stream.unknown forbidden", .tag = "chat" },
    { .method = M_HB_GET, .path = "/streams/{id}/moderators", .rate = "api",
      .action = moderators, .sentence = "whom the host trusts with the room, newest first",
      .query = HB_F_LIST, .output = "[users:all]",
      .errors = "input.invalid cursor.invalid stream.unknown", .tag = "chat" },
    { .method = M_HB_PUT, .path = "/streams/{id}/moderators/{userId}",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .rate = "api", .action = appoint,
      .sentence = "make somebody a moderator of one's room",
      .errors = "stream.unknown user.unknown user.self user.blocked forbidden", .tag = "chat" },
    { .method = M_HB_DELETE, .path = "/streams/{id}/moderators/{userId}",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .rate = "api", .action = dismiss,
      .sentence = "no longer a moderator; also when they were none",
      .errors = "stream.unknown forbidden", .tag = "chat" },
    { .method = M_HB_GET, .path = "/streams/{id}/restraints", .needs = HB_NEED_USER,
      .rate = "api", .action = restraints,
      .sentence = "who is muted or kicked, newest first; for who moderates the room",
      .query = HB_F_LIST, .output = "[roomRestraints:all]",
      .errors = "input.invalid cursor.invalid stream.unknown forbidden", .tag = "chat" },
    { .method = M_HB_PUT, .path = "/streams/{id}/restraints/{userId}",
      .needs = HB_NEED_USER | HB_NEED_BODY, .rate = "api", .action = restrain,
      .sentence = "mute, time out, shadow mute or kick somebody; for who moderates the room",
      .input = HB_F_ROOM_RESTRAIN, .output = "roomRestraints:all",
      .errors = "input.invalid stream.unknown user.unknown user.self forbidden", .tag = "chat" },
    { .method = M_HB_DELETE, .path = "/streams/{id}/restraints/{userId}",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .rate = "api", .action = lift,
      .sentence = "lift all restraints of somebody; also when there are none",
      .errors = "stream.unknown user.self forbidden", .tag = "chat" },
    { .method = M_HB_GET, .path = "/streams/{id}/words", .needs = HB_NEED_USER, .rate = "api",
      .action = words, .sentence = "words that are not taken in the room; for who moderates it",
      .query = HB_F_LIST, .output = "[words:all]",
      .errors = "input.invalid cursor.invalid stream.unknown forbidden", .tag = "chat" },
    { .method = M_HB_PUT, .path = "/streams/{id}/words", .needs = HB_NEED_USER | HB_NEED_BODY,
      .rate = "api", .action = set_word,
      .sentence = "add a word to the room's list, or change the entry of the same word; the list holds for later streams too, and not for who moderates the room",
      .input = HB_F_WORD_SET, .output = "words:all",
      .errors = "input.invalid stream.unknown words.full forbidden", .tag = "chat" },
    { .method = M_HB_DELETE, .path = "/streams/{id}/words/{wordId}",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .rate = "api", .action = remove_word,
      .sentence = "take a word off the room's list",
      .errors = "stream.unknown word.unknown forbidden", .tag = "chat" },
    { .method = M_HB_GET, .path = "/moderation/words", .needs = HB_NEED_USER,
      .roles = HB_ROLE_MODERATOR, .rate = "api", .action = words,
      .sentence = "words that are taken in no room of the site", .query = HB_F_LIST,
      .output = "[words:all]", .errors = "input.invalid cursor.invalid", .tag = "chat" },
    { .method = M_HB_PUT, .path = "/moderation/words", .needs = HB_NEED_USER | HB_NEED_BODY,
      .roles = HB_ROLE_MODERATOR, .rate = "api", .action = set_word,
      .sentence = "add a word to the site's list, or change the entry of the same word; it holds for everybody",
      .input = HB_F_WORD_SET, .output = "words:all", .errors = "input.invalid words.full",
      .tag = "chat" },
    { .method = M_HB_DELETE, .path = "/moderation/words/{wordId}",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .roles = HB_ROLE_MODERATOR, .rate = "api",
      .action = remove_word, .sentence = "take a word off the site's list",
      .errors = "word.unknown", .tag = "chat" },
};

const hb_route_set_t hb_routes_chat = { rows, sizeof(rows) / sizeof(rows[0]) };
