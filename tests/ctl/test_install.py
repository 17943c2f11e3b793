# SPDX-License-Identifier: Apache-2.0
"""Installing over what a sysadmin edited."""

import os
import subprocess

import pytest

from hb_httpd import BUILD


@pytest.fixture
def place(tmp_path):
    """Where files go: (install, .conf files, what was shipped)"""
    confs, shipped = tmp_path / "mods-available", tmp_path / "shipped"

    def install(target="install-apacheconf install-dist_shippedconfDATA"):
        done = subprocess.run(["make", "-s", "-C", BUILD, *target.split(),
                               "apacheconfdir=%s" % confs, "shippedconfdir=%s" % shipped],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return install, confs, shipped


def test_an_edited_conf_stays_and_others_are_renewed(place):
    install, confs, shipped = place
    install()
    new = (confs / "halobuzz.conf").read_text()
    assert sorted(os.listdir(confs)) == sorted(os.listdir(shipped))
    # As an earlier version shipped them; one of the two was edited.
    for name in ("halobuzz.conf", "halobuzz_api.conf"):
        for folder in (confs, shipped):
            (folder / name).write_text("# of an earlier version\n")
    (confs / "halobuzz.conf").write_text("HaloBuzzBodyMax 2M\n")
    said = install()
    assert (confs / "halobuzz.conf").read_text() == "HaloBuzzBodyMax 2M\n"
    assert (confs / "halobuzz.conf.new").read_text() == new
    assert "%s was edited" % (confs / "halobuzz.conf") in said
    assert "earlier" not in (confs / "halobuzz_api.conf").read_text()
    # Once is enough to be told; and what was edited is not removed either.
    assert "was edited" not in install()
    install("uninstall-apacheconf")
    assert os.listdir(confs) == ["halobuzz.conf"]
