import os
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.plant import Device, load_plant
from bridge.plant_edit import PlantEditFault, plan_edit, with_device, without_device, write_edit
from bridge.settings_file import SettingsError

HEAD = """\
# The plant of the dairy
sites:
  - name: s   # the only one

boilers:
  - {name: b1, site: s}
  - name: b2
    site: s
"""
DEVICES = """
# Which board watches which boiler
devices:
  # bought in 2024
  - name: d1
    site: s        # east
    boiler: b1

  # on the roof
  - {name: d2, site: s, boiler: b1}
  - boiler: b2
    name: d3
    site: s
    before:
      - boiler: b1
        since: 2025-01-01T00:00:00Z
    # calibrated in March

# Who is called
contacts: []
"""
NEW = Device(name="d9", site="s", boiler="b2")
TODAY = date(2026, 11, 23)


@pytest.fixture
def plant_file(tmp_path):
    path = tmp_path / "plant.yaml"
    path.write_text(HEAD + DEVICES, encoding="utf-8")
    return path


def changed_lines(edit):
    return [
        line
        for line in edit.diff.splitlines()
        if line[:1] in "+-" and not line.startswith(("+++", "---"))
    ]


def test_added_device_is_behind_the_last_and_nothing_else_changes(plant_file):
    """Registering adds the lines of one entry, in the file's own indentation."""
    edit = plan_edit(plant_file, with_device(NEW))

    assert changed_lines(edit) == ["+  - name: d9", "+    site: s", "+    boiler: b2"]
    before, _, after = edit.after.partition("  - name: d9\n    site: s\n    boiler: b2\n")
    assert before + after == edit.before
    assert before.endswith("    # calibrated in March\n")


def test_added_device_with_board_and_since_is_read_back(plant_file):
    """Every property of a device survives the way into the file."""
    since = datetime(2026, 11, 23, 12, tzinfo=UTC)
    device = Device(name="d9", site="s", boiler="b2", board="ESP32: rev #2", since=since)

    edit = plan_edit(plant_file, with_device(device))

    assert edit.plant.devices["d9"] == device


@pytest.mark.parametrize("name", ["d1", "d2", "d3"])
def test_revoked_device_leaves_one_comment_and_nothing_else_changes(plant_file, name):
    """Revoking replaces the lines of one entry by a comment that says what was there."""
    edit = plan_edit(plant_file, without_device(name, TODAY))

    added = [line for line in changed_lines(edit) if line.startswith("+")]
    boiler = "b2" if name == "d3" else "b1"
    assert added == [f"+  # revoked 2026-11-23: device {name} of site s, boiler {boiler}"]
    assert name not in edit.plant.devices
    for comment in (
        "# bought in 2024",
        "# on the roof",
        "# calibrated in March",
        "# Who is called",
    ):
        assert comment in edit.after


def test_planned_edit_writes_nothing_until_told(plant_file):
    """Planning shows the outcome; writing makes it so."""
    edit = plan_edit(plant_file, with_device(NEW))

    assert plant_file.read_text(encoding="utf-8") == edit.before

    write_edit(edit)

    assert plant_file.read_text(encoding="utf-8") == edit.after
    assert "d9" in load_plant(plant_file).devices


@pytest.mark.parametrize(
    ("devices", "added"),
    [
        ("", "devices:\n  - name: d9\n    site: s\n    boiler: b2\n"),
        ("devices: []   # none yet\n", "devices:   # none yet\n  - name: d9\n"),
        ("devices: []", "devices:\n  - name: d9\n    site: s\n    boiler: b2\n"),
        ("devices:\n- name: d1\n  site: s\n  boiler: b1", "  boiler: b1\n- name: d9\n  site: s\n"),
        (
            "devices:\n  -\n    name: d1\n    site: s\n    boiler: b1\n\n\n# end\n",
            "    boiler: b1\n  - name: d9\n",
        ),
    ],
    ids=["no key", "empty with comment", "empty without newline", "no indentation", "dash alone"],
)
def test_added_device_fits_how_the_list_is_written(tmp_path, devices, added):
    """The entry follows the list's own layout, or begins the list."""
    path = tmp_path / "plant.yaml"
    path.write_text(HEAD + devices, encoding="utf-8")

    edit = plan_edit(path, with_device(NEW))

    assert added in edit.after
    assert "d9" in edit.plant.devices


def test_only_device_revoked_leaves_an_empty_list(tmp_path):
    """A list without entries is written `[]`, because nothing would mean null."""
    path = tmp_path / "plant.yaml"
    path.write_text(f"{HEAD}devices:   # boards\n- name: d1\n  site: s\n  boiler: b1\n")

    edit = plan_edit(path, without_device("d1", TODAY))
    write_edit(edit)

    assert "devices: []   # boards\n# revoked 2026-11-23" in edit.after
    assert plan_edit(path, with_device(NEW)).plant.devices.keys() == {"d9"}


def test_file_with_windows_line_ends_keeps_them(tmp_path):
    """An edit adds lines with the line ends that the file has."""
    path = tmp_path / "plant.yaml"
    path.write_bytes((HEAD + DEVICES).replace("\n", "\r\n").encode())

    write_edit(plan_edit(path, with_device(NEW)))

    text = path.read_bytes()
    assert b"name: d9\r\n" in text
    assert text.count(b"\n") == text.count(b"\r\n")


def test_device_with_unknown_boiler_is_refused_with_the_nearest(plant_file):
    """The plant is checked as it would be after the change."""
    device = Device(name="d9", site="s", boiler="b9")

    with pytest.raises(SettingsError, match=r"after this change: no boiler 'b9'; did you mean"):
        plan_edit(plant_file, with_device(device))


def test_device_that_is_there_already_is_refused(plant_file):
    """A device name is unique in the plant."""
    with pytest.raises(PlantEditFault, match="has a device 'd1' already"):
        plan_edit(plant_file, with_device(Device(name="d1", site="s", boiler="b2")))


def test_revoking_an_unknown_device_names_the_nearest(plant_file):
    """A slip of the pen is told."""
    with pytest.raises(PlantEditFault, match=r"no device 'd_1'; did you mean 'd1'\?"):
        plan_edit(plant_file, without_device("d_1", TODAY))


def test_list_in_one_line_is_left_to_the_person(tmp_path):
    """A list written in one line is not edited, and the words say how to write it."""
    path = tmp_path / "plant.yaml"
    path.write_text(f"{HEAD}devices: [{{name: d1, site: s, boiler: b1}}]\n", encoding="utf-8")

    with pytest.raises(PlantEditFault, match="`- name:`"):
        plan_edit(path, with_device(NEW))


def test_file_changed_meanwhile_is_not_overwritten(plant_file):
    """What somebody wrote between planning and writing stays."""
    edit = plan_edit(plant_file, with_device(NEW))
    plant_file.write_text(edit.before + "# mine\n", encoding="utf-8")

    with pytest.raises(PlantEditFault, match="try again"):
        write_edit(edit)

    assert plant_file.read_text(encoding="utf-8").endswith("# mine\n")


def test_file_that_is_not_there_is_told(tmp_path):
    """An absent plant.yaml is told as when it is loaded."""
    with pytest.raises(SettingsError, match="no such file"):
        plan_edit(tmp_path / "plant.yaml", with_device(NEW))


def test_file_in_a_folder_that_takes_no_writing_shows_the_lines(plant_file, monkeypatch):
    """Where the file comes from elsewhere (a ConfigMap), the error holds the lines to change."""
    edit = plan_edit(plant_file, with_device(NEW))

    def refuse(*_args, **_kwargs):
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("tempfile.mkstemp", refuse)

    with pytest.raises(PlantEditFault, match=r"(?s)Read-only file system.*\n\+  - name: d9"):
        write_edit(edit)


def test_linked_file_stays_a_link(plant_file, tmp_path):
    """Editing through a symbolic link changes the file that it leads to."""
    link = tmp_path / "elsewhere.yaml"
    link.symlink_to(plant_file)

    write_edit(plan_edit(link, with_device(NEW)))

    assert link.is_symlink()
    assert "d9" in load_plant(plant_file).devices


AWKWARD = st.sampled_from(["no", "null", "1e3", "123", "0x1f", "true", "y", "2026-11-23", "1_000"])
NAMES = AWKWARD | st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,31}\Z")


@settings(max_examples=30, deadline=None)
@given(name=NAMES, board=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_any_name_and_board_are_read_back_as_text(tmp_path_factory, name, board):
    """What YAML would take for a number, a date or nothing is quoted."""
    path = tmp_path_factory.getbasetemp() / "awkward.yaml"
    path.write_text(HEAD, encoding="utf-8")

    edit = plan_edit(path, with_device(Device(name=name, site="s", boiler="b1", board=board)))

    assert edit.plant.devices[name].board == board


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(["d1", "d2", "d3", "d4", "d5"]), max_size=8))
def test_adding_and_revoking_in_any_order_keeps_the_rest_of_the_file(tmp_path_factory, names):
    """Whatever comes and goes, every line that no edit wrote stays."""
    path = tmp_path_factory.getbasetemp() / "any-order.yaml"
    path.write_text(f"{HEAD}\n# boards\ndevices: []\n\n# Who is called\ncontacts: []\n")
    present = set()
    for name in names:
        if name in present:
            write_edit(plan_edit(path, without_device(name, TODAY)))
        else:
            write_edit(plan_edit(path, with_device(Device(name=name, site="s", boiler="b1"))))
        present ^= {name}

    text = path.read_text(encoding="utf-8")
    assert set(load_plant(path).devices) == present
    assert text.startswith(f"{HEAD}\n# boards\ndevices:")
    assert text.endswith("\n\n# Who is called\ncontacts: []\n")
