# SPDX-License-Identifier: Apache-2.0
"""The two runs of run-schemathesis: one signed in, one as a stranger."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "sim"))

from hb_client import Client        # noqa: E402
from hb_finance import ctl          # noqa: E402
from hb_httpd import Httpd          # noqa: E402
from hb_sim_client import Sim       # noqa: E402
from hb_users import Users          # noqa: E402

SECONDS = os.environ.get("HB_SCHEMA_SEC", "45")

# What ends the session of the run would turn the rest of it into 401s.
ENDS_THE_RUN = "^postAuthLogout"

# What random requests are bound to do: present a refresh token twice, and messages that no provider
# of payments would send.
EXPECTED = ("HB00402", "HB00465")

# positive_data_acceptance: a form cannot say that an id has to be one of a living stream, or
# that a password has to be the right one. The others: what they want is proved by cases of
# our own (methods, tokens), or the tool cannot know the rule.
UNWANTED = "positive_data_acceptance,unsupported_method,ignored_auth,use_after_free," \
    "ensure_resource_availability,object_level_authorization"


def run(work, server, *args):
    command = [os.path.join(work, "venv", "bin", "schemathesis"), "run",
               server.url + "/openapi.json", "--max-time", SECONDS, "--exclude-checks", UNWANTED,
               "--seed", "1", "--continue-on-failure", "--warnings", "off",
               "--phases", "examples,coverage,fuzzing", *args]
    return subprocess.run(command, cwd=work, stdin=subprocess.DEVNULL).returncode


def main(work):
    server = Httpd(settings={"HaloBuzzAuthLockAccount": "1000000", "HaloBuzzPaySandbox": "on"})
    providers = Sim()                   # or the calls that name one in their path would answer 503
    try:
        server.settings.update(providers.settings(server.root))
        server.start()
        ctl(server, "seed")
        user = Users(server).make()
        failed = run(work, server, "-H", "Authorization: Bearer " + user.token,
                     "--exclude-operation-id-regex", ENDS_THE_RUN)
        failed = run(work, server) or failed
        Client(server).get("/healthz")
        loud = server.loud_lines(EXPECTED)
        if loud:
            print("lines in the error log:", *loud[:20], sep="\n", file=sys.stderr)
        server.stop()
        reports = server.reports()
        if reports:
            print("\n".join(reports)[:6000], file=sys.stderr)
        return 1 if failed or loud or reports else 0
    finally:
        providers.stop()
        server.kill()
        server.remove()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
