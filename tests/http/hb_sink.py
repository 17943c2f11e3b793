# SPDX-License-Identifier: Apache-2.0
"""Where notices go that leave the house: a stand-in for SMS, push and the team's channel."""

import http.server
import threading


class Sink(http.server.ThreadingHTTPServer):
    """Takes what is posted; answers what it was told to say about somebody once, else 201."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Take)
        self.posts, self.answers = [], {}
        self.news = threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.server_address[1]

    def wait(self, path, about="", n=1, sec=10):
        """n posts to addresses that begin like this, about somebody."""
        def some():
            return [p for p in list(self.posts) if p[0].startswith(path) and about.encode() in p[2]]
        with self.news:
            assert self.news.wait_for(lambda: len(some()) >= n, sec), self.posts
            return some()


class Take(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.news:
            self.server.posts.append((self.path, self.headers, body))
            about = next((a for a in self.server.answers if a.encode() in body), None)
            status = self.server.answers.pop(about, 201)
            self.server.news.notify_all()
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass
