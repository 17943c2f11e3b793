# SPDX-License-Identifier: Apache-2.0
"""What people are told, while they look: notification:new and notification:read."""

from hb_socketio import Socket

NOTICES = "/api/v1/notifications"


def test_a_notice_reaches_every_device_of_its_user_and_nobody_else(server, users):
    anna, bim = users.make(), users.make()
    phone, tablet = Socket(server, anna.token), Socket(server, anna.token)
    other = Socket(server, bim.token)
    anna.login(device="a phone nobody knows")
    heard = [device.wait("notification:new")["notice"] for device in (phone, tablet)]
    assert heard[0] == heard[1] and heard[0]["kind"] == "security.session"
    assert heard[0]["id"] == anna.get(NOTICES).json()["items"][0]["id"]
    assert anna.post(NOTICES + "/%s/read" % heard[0]["id"]).json() == {"unread": 0}
    assert phone.wait("notification:read") == {"unread": 0}
    assert tablet.wait("notification:read") == {"unread": 0}
    assert other.events("notification:new") == []
