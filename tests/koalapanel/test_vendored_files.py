"""What we took from others: the table in static/vendor, its folders, licences and versions agree."""

import re

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from accounts.templatetags.icons import UnknownIcon, icon
from usage.staff import navigation
from usage.templatetags import quotas

VENDOR = settings.BASE_DIR / "static" / "vendor"
TEMPLATES = settings.BASE_DIR / "templates"
ROW = re.compile(r"\| `([\w-]+)` \| `([^`]+)` \| ([\d.]+) \| ([\w-]+) \| (.*) \|")
VERSION_INSIDE = {"tabler": "Tabler v{}", "chartjs": "Chart.js v{}", "htmx": "'{}'"}
LICENCE_INSIDE = {"MIT": "Permission is hereby granted, free of charge", "0BSD": "Zero-Clause BSD"}

TABLE = {row[0]: row[1:] for row in ROW.findall((VENDOR / "README.md").read_text())}


def templates():
    """Those of pages. (Mail programs read no style sheet: its layout has its own.)"""
    pages = (path for path in TEMPLATES.rglob("*.html") if path.parent != TEMPLATES / "mail")
    return {path: path.read_text() for path in pages}


def test_the_table_lists_every_folder_and_each_has_its_licence():
    assert {path.name for path in VENDOR.iterdir() if path.is_dir()} == set(TABLE)
    for folder, (_, _, licence, _) in TABLE.items():
        assert LICENCE_INSIDE[licence] in (VENDOR / folder / "LICENSE").read_text()


@pytest.mark.parametrize("folder", VERSION_INSIDE)
def test_a_file_is_of_the_version_the_table_says(folder):
    _, version, _, files = TABLE[folder]
    (name,) = re.findall(r"`([^`]+)`", files)
    assert {path.name for path in (VENDOR / folder).iterdir()} == {name, "LICENSE"}
    text = (VENDOR / folder / name).read_text()
    said = VERSION_INSIDE[folder].format(version)
    assert said in text or said.replace("'", '"') in text
    assert "sourceMappingURL" not in text  # hashing static files would look for the map


def test_there_is_an_icon_for_each_name_that_pages_use_and_none_besides():
    asked = {"quotas.py": [*quotas.ICONS.values(), quotas.OTHER_ICON]}
    asked |= {"navigation.py": [entry.icon for entry in navigation.PAGES]}
    asked |= {path: re.findall(r'{% icon "([\w-]+)" %}', text) for path, text in templates().items()}
    kept = {path.stem for path in (VENDOR / "tabler-icons").glob("*.svg")}
    assert {name for names in asked.values() for name in names} == kept


def test_an_icon_is_drawn_in_line_and_hidden_from_screen_readers():
    drawing = icon("key")
    assert drawing.startswith('<svg class="icon" aria-hidden="true" focusable="false" viewBox="0 0 24 24"')
    assert 'stroke="currentColor"' in drawing
    assert "style" not in drawing
    with pytest.raises(UnknownIcon, match="no-such-icon"):
        icon("no-such-icon")


def test_pages_load_files_of_ours_alone_and_each_is_there():
    for path, text in templates().items():
        for address in re.findall(r'(?:src|href)="((?:https?:)?//[^"]*)"', text):
            pytest.fail(f"{path} loads {address}")
        for name in re.findall(r'{% static "([^"]+)" %}', text) + re.findall(r'"/static/([^"]+)"', text):
            assert finders.find(name), f"{path} names {name}"


def test_pages_bring_no_script_or_style_of_their_own():
    for path, text in templates().items():
        assert " style=" not in text, path
        assert "<style" not in text, path
        assert re.search(r"<script(?![^>]*(?:\bsrc=|application/json))", text) is None, path
        assert re.search(r"\son\w+=", text) is None, path
