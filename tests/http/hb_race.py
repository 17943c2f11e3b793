# SPDX-License-Identifier: Apache-2.0
"""The same call many times at once, each on a connection of its own."""

import threading

from hb_client import Client


def at_once(server, calls):
    """calls: functions of a Client. Gives their results in order; an exception is raised."""
    results = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(i, call):
        client = Client(server)
        try:
            client.get("/index.html")       # the connection stands before the race begins
            barrier.wait()
            results[i] = call(client)
        except BaseException as e:          # noqa: B902 (told by the caller)
            barrier.abort()
            results[i] = e
        finally:
            client.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def everywhere(server, token, path="/api/v1/users/me", n=12):
    """The status of one call from so many connections that every child has answered some."""
    replies = at_once(server, [lambda c: c.get(path, token=token)] * n)
    return {reply.status_code for reply in replies}
