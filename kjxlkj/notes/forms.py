"""Form fields for what notes are made of, and the form of a note."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator

from kjxlkj.notes.line_ends import with_line_ends_of
from kjxlkj.notes.tags import normalise_tag


class MarkdownField(forms.CharField):
    """Text as typed, to the last space. Browsers send CR LF for every line end."""

    widget = forms.Textarea

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"strip": False, "required": False, **options})
        self.widget.attrs |= {"rows": 24, "spellcheck": "true", "class": "markdown-source"}

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class TagsField(forms.CharField):
    """Labels between commas, or one on a line (for labels that hold a comma themselves)."""

    widget = forms.Textarea

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "help_text": "Between commas, or one on each line.", **options})
        self.widget.attrs |= {"rows": 2, "spellcheck": "false", "autocapitalize": "none"}

    def clean(self, value: Any) -> list[str]:
        text = str(super().clean(value))
        return [tag for part in text.split("\n" if "\n" in text else ",") if (tag := part.strip())]

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, Iterable):
            return value
        tags = list(value)
        return "\n".join([*tags, ""]) if any("," in tag for tag in tags) else ", ".join(tags)


class NoteForm(forms.Form):
    title = forms.CharField(max_length=200)
    path = forms.CharField(max_length=1024, required=False, help_text="folder/name.md; may stay empty.")
    tags = TagsField()
    body = MarkdownField()
    base_version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)

    def touched(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """Of a valid form, the values that are not those of its note as it was at `base`."""
        given = self.cleaned_data
        values = {
            "title": given["title"],
            "path": base["path"] if given["path"] == base["path"].strip() else given["path"],
            "tags": sorted({normalise_tag(tag) for tag in given["tags"]} - {""}),
            "body": with_line_ends_of(base["body"], given["body"]),
        }
        return {name: value for name, value in values.items() if value != base[name]}

    def again(self, now: Mapping[str, Any], touched: Collection[str], version: int) -> "NoteForm":
        """What was typed, as it was typed, in the fields that were touched; the others as they are now."""
        values = {
            name: self.data.get(name, "") if name in touched else self.fields[name].prepare_value(now[name])
            for name in ("title", "path", "tags", "body")
        }
        form = NoteForm({**values, "base_version": version})
        form.is_valid()
        return form


class VersionsForm(forms.Form):
    """Two versions of a note to be compared."""

    old = forms.IntegerField(label="From version", min_value=1)
    new = forms.IntegerField(label="to version", min_value=1)

    def __init__(self, *args: Any, latest: int, **options: Any) -> None:
        super().__init__(*args, **options)
        for field in self.fields.values():
            field.validators.append(MaxValueValidator(latest, f"The note has versions 1 to {latest}."))
            field.widget.attrs |= {"max": latest, "list": "recent-versions"}
