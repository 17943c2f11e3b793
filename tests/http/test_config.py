# SPDX-License-Identifier: Apache-2.0
"""What configtest says about a wrong configuration: which directive, where, what to write."""

import os

import pytest

WRONG = [
    # given, what the message has to name
    ('HaloBuzzStore mysql://x', ["HaloBuzzStore", "mysql", "sqlite:"]),
    ('HaloBuzzStore mongodb:host', ["HaloBuzzStore", "//"]),
    ('HaloBuzzStore mongodb://', ["HaloBuzzStore", "no host"]),
    ('HaloBuzzStore mongodb://a,b:0/x', ["HaloBuzzStore", "65535"]),
    ('HaloBuzzStore mongodb://u:p/w@a/x', ["HaloBuzzStore", "%2F"]),
    ('HaloBuzzStore mongodb://a/x.y', ["HaloBuzzStore", "name of a database"]),
    ('HaloBuzzStore mongodb://a/x?tls=yes', ["HaloBuzzStore", "tls= is true or false"]),
    ('HaloBuzzStore mongodb://a/x?tls', ["HaloBuzzStore", "NAME=VALUE"]),
    ('HaloBuzzStore mongodb+srv://a.b:27017/x', ["HaloBuzzStore", "no port"]),
    ('HaloBuzzCache memcached:x', ["HaloBuzzCache", "memcached", "shm:"]),
    ('HaloBuzzCache redis://host:99999', ["HaloBuzzCache", "port"]),
    ('HaloBuzzCache redis://host/x', ["HaloBuzzCache", "number of a database"]),
    ('HaloBuzzCache redis://host?db=1', ["HaloBuzzCache", "prefix="]),
    ('HaloBuzzCache rediss://host', ["HaloBuzzCache", "stunnel"]),
    ('HaloBuzzBus redis://', ["HaloBuzzBus", "no host"]),
    ('HaloBuzzPasswordCost 3', ["HaloBuzzPasswordCost", "3", "4", "17"]),
    ('HaloBuzzPasswordCost ten', ["HaloBuzzPasswordCost", "ten"]),
    ('HaloBuzzPasswordCost 99999999999999999999', ["HaloBuzzPasswordCost"]),
    ('HaloBuzzAuthTokenTTL 5x', ["HaloBuzzAuthTokenTTL", "5x"]),
    ('HaloBuzzAuthTokenTTL -1h', ["HaloBuzzAuthTokenTTL"]),
    ('HaloBuzzCacheSize 64Q', ["HaloBuzzCacheSize", "64Q"]),
    ('HaloBuzzMaintenance perhaps', ["HaloBuzzMaintenance", "perhaps", "on", "off"]),
    ('HaloBuzzAuthSecret plainly-here-in-the-configuration-plainly-here-in-the-conf',
     ["HaloBuzzAuthSecret", "file:"]),
    ('HaloBuzzAuthSecret file:/nowhere/at/all', ["HaloBuzzAuthSecret", "/nowhere/at/all"]),
    ('HaloBuzzAuthSecret file:@ROOT@/short.key', ["HaloBuzzAuthSecret", "64"]),
    ('HaloBuzzAuthSecret file:@ROOT@/open.key', ["HaloBuzzAuthSecret", "open.key"]),
    ('HaloBuzzAuthSecret env:HB_TEST_UNSET', ["HaloBuzzAuthSecret", "HB_TEST_UNSET"]),
    ('HaloBuzzStore file:@ROOT@/open.key', ["HaloBuzzStore", "open.key", "chmod"]),
    ('HaloBuzzCache file:@ROOT@/good.key', ["HaloBuzzCache", "good.key", "redis://"]),
    ('HaloBuzzBus env:HB_TEST_UNSET', ["HaloBuzzBus", "HB_TEST_UNSET"]),
    ('HaloBuzzCORSOrigin *', ["HaloBuzzCORSOrigin", "*", "https://"]),
    ('HaloBuzzCORSOrigin https://a.example/path', ["HaloBuzzCORSOrigin", "https://a.example/path"]),
    ('HaloBuzzPublicURL halobuzz.com', ["HaloBuzzPublicURL", "halobuzz.com", "https://"]),
    ('HaloBuzzSMTP mail.example', ["HaloBuzzSMTP", "mail.example", "smtps://"]),
    ('HaloBuzzAgoraAppId 123', ["HaloBuzzAgoraAppId", "32"]),
    ('HaloBuzzSMSAccount AC1', ["HaloBuzzSMSAccount", "HaloBuzzSMSToken", "HaloBuzzSMSFrom"]),
    ('HaloBuzzPushURL https://push.example/', ["HaloBuzzPushURL", "HaloBuzzPushSecret"]),
    ('HaloBuzzPushURL ftp://push.example/\nHaloBuzzPushSecret file:@ROOT@/good.key',
     ["HaloBuzzPushURL", "line ", "http"]),
    ('HaloBuzzNoticeTexts /nowhere', ["HaloBuzzNoticeTexts", "line ", "/nowhere"]),
    ('HaloBuzzAuthSecret file:@ROOT@/good.key\nHaloBuzzAuthRefreshSecret file:@ROOT@/good.key',
     ["HaloBuzzAuthRefreshSecret", "line ", "same"]),
    ('HaloBuzzMonitorAddress 10.0.0.0/33', ["HaloBuzzMonitorAddress", "10.0.0.0/33"]),
    ('HaloBuzzMailFrom "a <b@c>"', ["HaloBuzzMailFrom"]),
    ('HaloBuzzStateDir relative/dir', ["HaloBuzzStateDir", "relative/dir"]),
    ('<VirtualHost *:1>\nHaloBuzzBodyMax 1M\n</VirtualHost>', ["HaloBuzzBodyMax"]),
    ('<Location "/x">\nHaloBuzzBodyMax 1M\n</Location>', ["HaloBuzzBodyMax"]),
    ('HaloBuzzNoSuchThing on', ["HaloBuzzNoSuchThing"]),
]


@pytest.fixture
def bare(make_server):
    def make(extra="", **args):
        server = make_server(start=False, own=("halobuzz",), extra=extra,
                             settings={"HaloBuzzPublicURL": None, "HaloBuzzMailFrom": None,
                                       "HaloBuzzPasswordCost": None}, **args)
        for name, text, mode in (("short.key", "x" * 63, 0o600), ("open.key", "x" * 64, 0o644),
                                 ("good.key", "x" * 64 + "\n", 0o600)):
            path = os.path.join(server.root, name)
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, mode)
        return server
    return make


@pytest.mark.parametrize("given,named", WRONG, ids=[w[0].split("\n")[-2 if "\n" in w[0] else 0]
                                                    [:48] for w in WRONG])
def test_a_mistake_is_explained(bare, given, named):
    code, said = bare(given).configtest()
    assert code != 0, said
    for word in named:
        assert word in said, said
    assert "line " in said, said
    assert "plainly-here" not in said


def test_a_state_directory_that_will_not_do(bare, as_root):
    server = bare()
    for name, mode, owner in (("closed", 0o700, 0), ("others", 0o750, 12345)):
        os.mkdir(os.path.join(server.root, name), mode)
        os.chown(os.path.join(server.root, name), owner, owner)
    for place, named in (("closed/state", "chmod o+x"), ("others", "chown -R"),
                         ("good.key", "not a directory"), ("none/state", "parent")):
        server.settings["HaloBuzzStateDir"] = os.path.join(server.root, place)
        code, said = server.configtest()
        assert code != 0 and "HaloBuzzStateDir (line " in said and named in said, said
    # One that is not there yet is made at the start.
    server.settings["HaloBuzzStateDir"] = os.path.join(server.root, "new")
    code, said = server.configtest()
    assert code == 0 and not os.path.exists(os.path.join(server.root, "new")), said


# A reload that found it out after its configtest would end the server.
@pytest.mark.parametrize("name,needed", [
    ("halobuzz_auth", "halobuzz"), ("halobuzz_ratelimit", "halobuzz"), ("halobuzz_api", "halobuzz"),
    ("halobuzz_realtime", "halobuzz"), ("halobuzz_cron", "halobuzz"),
    ("halobuzz_webhooks", "halobuzz_api")])
def test_what_a_module_stands_on_is_missed_by_configtest(make_server, name, needed):
    own = (name,) if needed == "halobuzz" else ("halobuzz", name)
    code, said = make_server(start=False, own=own, shipped=False).configtest()
    assert code != 0, said
    assert "mod_%s needs mod_%s: add LoadModule %s_module" % (name, needed, needed) in said


def test_all_mistakes_are_told_at_once(bare):
    code, said = bare("HaloBuzzAuthSecret file:/nowhere\n"
                      "HaloBuzzMonitorAddress *\n").configtest()
    assert code != 0
    assert "HaloBuzzAuthSecret" in said and "HaloBuzzMonitorAddress" in said


@pytest.mark.embedded
def test_a_mistake_in_the_environment_names_the_variable(bare):
    code, said = bare(environment={"MONGODB_URI": "mysql:x"}).configtest()
    assert code != 0
    assert "MONGODB_URI" in said and "HaloBuzzStore" in said


def test_right_settings_pass(bare):
    code, said = bare("""
HaloBuzzAuthSecret file:@ROOT@/good.key
HaloBuzzCORSOrigin https://a.example, https://b.example
HaloBuzzMonitorAddress 10.0.0.0/8 192.0.2.1 2001:db8::/32
HaloBuzzAuthTokenTTL 15m
""").configtest()
    assert code == 0, said
    assert "Syntax OK" in said


def test_checking_has_no_effects(bare):
    server = bare()
    assert server.configtest()[0] == 0
    assert os.listdir(server.state) == []
    assert os.listdir(os.path.join(server.root, "run")) == []


def test_the_settings_in_force_can_be_printed(bare):
    server = bare("""
HaloBuzzAuthSecret file:@ROOT@/good.key
HaloBuzzSMTPUser u
HaloBuzzStore sqlite:other.db
HaloBuzzEnvironment "two words"
""", environment={"REDIS_URL": ""})
    server.configtest()
    said = server.command("-t", "-D", "DUMP_HB_SETTINGS").stdout
    with open(os.path.join(os.path.dirname(__file__), "../../include/hb_setting.def")) as f:
        directives = [line.split('"')[1] for line in f if line.startswith("HB_SETTING(")]
    for directive in directives:
        assert "  %s " % directive in said
    assert "file:" in said and "x" * 64 not in said
    assert "two words" in said
    assert "httpd.conf:" in said


def test_passwords_in_addresses_are_hidden(bare):
    server = bare(environment={"SMTP_HOST": "smtp://me:hushhush@mail.example:25"})
    server.configtest()
    said = server.command("-t", "-D", "DUMP_HB_SETTINGS")
    assert "hushhush" not in said.stdout + said.stderr
