# SPDX-License-Identifier: Apache-2.0
"""One httpd of the build tree: configuration, life, log."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from hb_beside import free_port, release_port

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
RACES = os.path.join(SOURCE, "tests", "tsan.supp")
BUILD = os.environ.get("HB_BUILD", os.getcwd())
MPM = os.environ.get("HB_MPM", "event")
KEEP = os.environ.get("HB_KEEP")
STORE = os.environ.get("HB_STORE")      # a server for records, mongodb://HOST:PORT/
CACHE = os.environ.get("HB_CACHE")      # a server for shared state, redis://HOST:PORT
RUN_USER = "www-data"
OWN_MODULES = ("halobuzz", "halobuzz_auth", "halobuzz_ratelimit", "halobuzz_api", "halobuzz_webhooks")
START_SEC = 20
STOP_SEC = 20

LOG_FORMAT = r'[%{cu}t] [%-m:%l] [pid %P:tid %T] [client\ %a] [%L] %M'
LOG_LINE = re.compile(r"^\[[^\]]*\] \[(?P<module>[^:\]]*):(?P<level>\w+)\] \[pid (?P<pid>\d+)")
LOG_NUMBER = re.compile(r"\b((?:AH|HB)\d{5})\b")
LOUD = ("emerg", "alert", "crit", "error", "warn")
# Said as a mere notice: a child died of a signal.
CRASHES = ("AH00051", "AH00052")
# Connections that change hands while the event MPM is closing down, and a child that takes a
# second to stop on a busy machine (AH00046, the kill, is another matter).
NEVER_MIND = ("AH03092", "AH03093", "AH00045")


def apxs(name):
    return subprocess.check_output(["apxs", "-q", name], stderr=subprocess.DEVNULL,
                                   text=True).strip()


def httpd_path():
    return os.environ.get("HTTPD") or os.path.join(apxs("SBINDIR"), apxs("PROGNAME"))


def module_dir():
    return apxs("LIBEXECDIR")


def has_module(name):
    return os.path.exists(os.path.join(module_dir(), "mod_%s.so" % name))


def is_root():
    return os.geteuid() == 0


def processes_of(session):
    """Processes of a session that run or still end, by number.

    A killed process is a zombie with its first thread; until the last has gone, it holds its
    descriptors and so its ports.
    """
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            threads = int(fields[17])
            if int(fields[3]) == session and (fields[0] != "Z" or threads > 1):
                found.append(int(name))
    return found


def sanitizer_libraries():
    """What to preload when the modules were built with sanitizers."""
    so = os.path.join(BUILD, ".libs", "mod_halobuzz.so")
    needed = subprocess.run(["objdump", "-p", so], capture_output=True, text=True).stdout
    names = re.findall(r"NEEDED\s+(lib(?:asan|ubsan|tsan)\S*)", needed)
    found = [subprocess.check_output(["gcc", "-print-file-name=" + n], text=True).strip()
             for n in sorted(names)]
    atomics = os.path.join(BUILD, ".libs", "hb_test_atomics.so")
    return found + [atomics] if os.path.exists(atomics) else found


def store_for_one():
    """The URL of a database that nobody else uses."""
    return "%s/http_%d_%s" % (STORE.rstrip("/"), os.getpid(), os.urandom(4).hex())


class Httpd:
    """
    settings   directives of the suite; a value of None leaves the harness's own out
    extra      more configuration, after everything else
    modules    stock modules to load besides the usual ones
    own        modules of the suite to load, without mod_
    tls, h2    serve https with a certificate of our own; offer HTTP/2
    run_as     start as this user instead of as root
    shipped    with conf/halobuzz_api.conf, as an installation has it
    """

    def __init__(self, settings=None, extra="", modules=(), own=None, mpm=None, tls=False,
                 h2=False, run_as=None, environment=None, mpm_settings=None, shipped=True,
                 arguments=("-DFOREGROUND",)):
        self.settings = {
            "HaloBuzzEnvironment": "test",
            "HaloBuzzPasswordCost": "4",
            "HaloBuzzMailFrom": "no-reply@halobuzz.test",
            "HaloBuzzAuthLockAddress": "100000",
        }
        if STORE:
            self.settings["HaloBuzzStore"] = store_for_one()
        if CACHE:
            self.settings["HaloBuzzCache"] = "%s?prefix=h%s:" % (CACHE, os.urandom(4).hex())
            self.settings["HaloBuzzRedisTimeout"] = "10s"   # a busy machine is no Redis that hangs
        self.settings.update(settings or {})
        self.extra = extra
        self.modules = list(modules)
        self.own = OWN_MODULES if own is None else own
        self.mpm = mpm or MPM
        self.mpm_settings = mpm_settings
        self.tls = tls
        self.h2 = h2
        self.run_as = run_as
        self.environment = environment or {}
        self.shipped = shipped
        self.arguments = list(arguments)
        self.process = None
        self.reloads = 0
        self.port = None
        self.more_ports = []
        self.log_read = 0       # bytes of the log that were judged
        self.root = tempfile.mkdtemp(prefix="hb", dir="/tmp")
        self.libs = os.path.join(BUILD, ".libs")
        self._prepare()

    # --- paths

    @property
    def error_log(self):
        return os.path.join(self.root, "error.log")

    @property
    def state(self):
        return os.path.join(self.root, "state")

    @property
    def conf(self):
        return os.path.join(self.root, "httpd.conf")

    @property
    def url(self):
        return "%s://localhost:%d" % ("https" if self.tls else "http", self.port)

    @property
    def certificate(self):
        return os.path.join(self.root, "cert.pem")

    def _prepare(self):
        os.chmod(self.root, 0o755)
        for name in ("run", "htdocs", "state", "san"):
            os.mkdir(os.path.join(self.root, name))
        os.chmod(os.path.join(self.root, "san"), 0o1777)
        shutil.copy(RACES, os.path.join(self.root, "races"))
        os.chmod(self.state, 0o750)
        with open(os.path.join(self.root, "htdocs", "index.html"), "w") as f:
            f.write("static\n")
        if self.tls:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                            "-subj", "/CN=localhost", "-addext",
                            "subjectAltName=DNS:localhost,IP:127.0.0.1",
                            "-addext", "basicConstraints=critical,CA:FALSE",
                            "-keyout", os.path.join(self.root, "key.pem"),
                            "-out", self.certificate],
                           check=True, capture_output=True)
        owner = self.run_as or RUN_USER
        if is_root():
            who = pwd.getpwnam(owner)
            os.chown(self.state, who.pw_uid, who.pw_gid)
            if self.run_as:
                self._give_to(who)

    def _give_to(self, who):
        """A server that starts unprivileged owns its root, and may not reach the build."""
        private = os.path.join(self.root, "libs")
        os.mkdir(private)
        for name in os.listdir(self.libs):
            if name.endswith(".so"):
                shutil.copy(os.path.join(self.libs, name), private)
        self.libs = private
        for folder, _, names in os.walk(self.root):
            os.chown(folder, who.pw_uid, who.pw_gid)
            for name in names:
                os.chown(os.path.join(folder, name), who.pw_uid, who.pw_gid)

    # --- configuration

    def _loads(self):
        stock = ["mpm_" + self.mpm, "authn_core", "authz_core", "authz_host", "mime", "dir",
                 "alias", "headers", "env", "reqtimeout", "status"] + self.modules
        if self.tls:
            stock += ["socache_shmcb", "ssl"]
        if self.h2:
            stock += ["http2"]
        lines = ["LoadModule %s_module %s/mod_%s.so" % (n, module_dir(), n)
                 for n in dict.fromkeys(stock)]
        for name in self.own:
            so = os.path.join(self.libs, "mod_%s.so" % name)
            if os.path.exists(so):
                lines.append("LoadModule %s_module %s" % (name, so))
        return lines

    def _mpm_lines(self):
        if self.mpm_settings is not None:
            return self.mpm_settings
        if self.mpm == "prefork":
            return "StartServers 4\nMinSpareServers 2\nMaxSpareServers 8\nMaxRequestWorkers 24"
        # Always two children: one that is spared would close its callers' idle connections.
        return ("StartServers 2\nMinSpareThreads 1\nMaxSpareThreads 80\nThreadsPerChild 40\n"
                "ServerLimit 2\nMaxRequestWorkers 80")

    def write_conf(self):
        lines = ["ServerRoot %s" % self.root, "ServerName localhost",
                 "PidFile %s/httpd.pid" % self.root, "DefaultRuntimeDir %s/run" % self.root,
                 "Listen 127.0.0.1:%d" % self.port]
        lines += self._loads()
        if is_root() and not self.run_as:
            lines += ["User " + RUN_USER, "Group " + RUN_USER]
        lines += [self._mpm_lines(), "ErrorLog %s" % self.error_log,
                  'ErrorLogFormat "%s"' % LOG_FORMAT, "LogLevel info", "TraceEnable Off",
                  "Timeout 20",
                  "RequestReadTimeout header=10 body=5,MinRate=500", "KeepAliveTimeout 15",
                  "MaxKeepAliveRequests 0", "TypesConfig /etc/mime.types",
                  "DocumentRoot %s/htdocs" % self.root,
                  "<Directory />\nRequire all granted\n</Directory>",
                  '<Location "/">\nAuthzSendForbiddenOnFailure On\n</Location>',
                  "GracefulShutdownTimeout 10"]
        lines += ["HaloBuzzStateDir %s" % self.state] if "halobuzz" in self.own else []
        if "halobuzz" in self.own:
            settings = {"HaloBuzzPublicURL": self.url, **self.settings}
            if self.has_own("halobuzz_ratelimit"):
                for name in ("api", "auth", "health", "webhook"):
                    settings.setdefault("HaloBuzzRateLimit " + name, "1000000/60s")
            for name, value in settings.items():
                if value is not None:
                    lines.append("%s %s" % (name, value if " " in name or value.startswith('"')
                                            else '"%s"' % value))
            if self.shipped and self.has_own("halobuzz_api"):
                lines.append("Include %s/conf/halobuzz_api.conf" % SOURCE)
        if self.tls:
            lines += ["SSLEngine on", "SSLCertificateFile %s" % self.certificate,
                      "SSLCertificateKeyFile %s/key.pem" % self.root,
                      "SSLSessionCache shmcb:%s/run/ssl(512000)" % self.root]
        if self.h2:
            lines.append("Protocols h2 h2c http/1.1")
        lines.append(self.extra.replace("@ROOT@", self.root).replace("@PORT@", str(self.port)))
        with open(self.conf, "w") as f:
            f.write("\n".join(lines) + "\n")

    def has_own(self, name):
        return name in self.own and os.path.exists(os.path.join(self.libs, "mod_%s.so" % name))

    # --- life

    def _environment(self):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TZ")}
        env["LD_LIBRARY_PATH"] = self.libs
        env["HALOBUZZ_CHECK_REPLIES"] = "1"
        preload = sanitizer_libraries()
        if preload:
            env["LD_PRELOAD"] = ":".join(preload)
            env["ASAN_OPTIONS"] = "detect_leaks=0:log_path=%s/san/asan" % self.root
            env["UBSAN_OPTIONS"] = "print_stacktrace=1:log_path=%s/san/ubsan" % self.root
            env["TSAN_OPTIONS"] = ("exitcode=0:die_after_fork=0:history_size=4:"
                                   "ignore_noninstrumented_modules=1:second_deadlock_stack=1:"
                                   "suppressions=%s/races:log_path=%s/san/tsan"
                                   % (self.root, self.root))
        env.update(self.environment)
        return env

    def _as_user(self):
        if not self.run_as or not is_root():
            return {}
        who = pwd.getpwnam(self.run_as)
        return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}

    def command(self, *args):
        return subprocess.run([httpd_path(), "-f", self.conf, *args], env=self._environment(),
                              capture_output=True, text=True, timeout=60, **self._as_user())

    def configtest(self):
        """(exit code, what it says)"""
        if self.port is None:
            self.port = free_port()
        self.write_conf()
        done = self.command("-t")
        return done.returncode, done.stderr + done.stdout

    def start(self):
        for _ in range(5):
            release_port(self.port)
            self.port = free_port()
            self.write_conf()
            if self._start_once():
                return self
        raise AssertionError("no free port found")

    def start_again(self):
        """The same port, configuration and state once more."""
        assert self._start_once(), self.log_text()[-2000:]
        return self

    def _start_once(self):
        stderr = open(os.path.join(self.root, "stderr.log"), "ab")
        self.process = subprocess.Popen([httpd_path(), "-f", self.conf, *self.arguments],
                                        env=self._environment(), stdin=subprocess.DEVNULL,
                                        stdout=stderr, stderr=stderr, start_new_session=True,
                                        **self._as_user())
        stderr.close()
        until = time.monotonic() + START_SEC
        while time.monotonic() < until:
            if self.process.poll() is not None:
                text = self.log_text() + self.stderr_text()
                if "AH00072" in text:
                    os.truncate(self.error_log, 0) if os.path.exists(self.error_log) else None
                    open(os.path.join(self.root, "stderr.log"), "w").close()
                    return False
                raise AssertionError("httpd did not start, but ended with %d:\n%s"
                                     % (self.process.returncode, text[-4000:]))
            if self.answers():
                return True
            time.sleep(0.02)
        raise AssertionError("httpd did not answer:\n" + self.log_text()[-4000:])

    def answers(self):
        """Is a request answered? Every child is up as far as this can tell."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as s:
                if self.tls:
                    return True
                s.settimeout(5)
                s.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
                return s.recv(4) == b"HTTP"
        except OSError:
            return False

    def children(self):
        return [p for p in processes_of(self.process.pid) if p != self.process.pid]

    def generations(self):
        return self.log_text().count("resuming normal operations")

    def graceful(self, wait=True, how=signal.SIGUSR1):
        before = self.generations()
        self.reloads += 1
        self.process.send_signal(how)
        until = time.monotonic() + START_SEC
        while wait and self.generations() == before:
            assert self.process.poll() is None, "httpd ended at a reload:\n" + self.log_text()[-3000:]
            assert time.monotonic() < until, "no reload:\n" + self.log_text()[-3000:]
            time.sleep(0.02)

    def stop(self):
        """SIGTERM, then nothing may be left: no process, no listener, no socket."""
        if self.process is None:
            return
        left = []
        if self.process.poll() is None:
            # httpd 2.4.71's event MPM reads freed memory (close_worker_sockets) when a worker
            # closes a connection in the moment of a SIGTERM: let the last one go first.
            time.sleep(0.1)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SEC)
            except subprocess.TimeoutExpired:
                left.append("httpd ignored SIGTERM")
        left += self._left_over()
        self.kill()
        assert not left, "; ".join(left) + "\n" + self.log_text()[-2000:]

    def _left_over(self):
        left = []
        until = time.monotonic() + STOP_SEC
        session = self.process.pid
        while processes_of(session) and time.monotonic() < until:
            time.sleep(0.02)
        if processes_of(session):
            left.append("processes left: %s" % processes_of(session))
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", self.port)) == 0:
                left.append("port %d still answers" % self.port)
        for name in os.listdir(os.path.join(self.root, "run")):
            if name.endswith(".sock"):
                left.append("socket left: " + name)
        return left

    def kill_session(self, session):
        """End whatever is left of a session, also when its leader is gone."""
        while processes_of(session):
            for pid in processes_of(session):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)

    def kill(self):
        if self.process is not None:
            self.kill_session(self.process.pid)
            self.process.wait()
            self.process = None

    def remove(self):
        release_port(self.port)
        if not KEEP:
            shutil.rmtree(self.root, ignore_errors=True)

    # --- log

    def log_text(self):
        try:
            with open(self.error_log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stderr_text(self):
        try:
            with open(os.path.join(self.root, "stderr.log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def loud_lines(self, claimed=()):
        """New lines that a case has to answer for; moves the mark."""
        try:
            with open(self.error_log, "rb") as f:
                f.seek(self.log_read)
                data = f.read()
                self.log_read += len(data)
        except FileNotFoundError:
            return []
        claimed = set(claimed) | set(NEVER_MIND)
        if not self.has_own("halobuzz_auth"):
            claimed.add("HB04005")      # said because it was left out here
        if not self.has_own("halobuzz_ratelimit"):
            claimed.add("HB04006")
        loud = []
        for line in data.decode("utf-8", "replace").splitlines():
            match = LOG_LINE.match(line)
            numbers = set(LOG_NUMBER.findall(line))
            if match and match.group("level") not in LOUD and not numbers & set(CRASHES):
                continue
            if not line.strip() or numbers & claimed:
                continue
            if any(c.startswith("~") and c[1:] in line for c in claimed):
                continue
            loud.append(line)
        return loud

    def reports(self):
        """What sanitizers had to say."""
        folder = os.path.join(self.root, "san")
        texts = []
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), errors="replace") as f:
                texts.append(f.read())
        return texts
