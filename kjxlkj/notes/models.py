"""Notes, their history, the names they go by, the links between them, and the files beside them."""

from typing import Any, ClassVar

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Concat, Left
from django.utils import timezone

from kjxlkj.ids import new_id
from kjxlkj.workspaces.models import User, Workspace

# PostgreSQL refuses a tsvector of 1 MiB. Two configurations over this many characters stay below it whatever
# the text is (tested with the worst: distinct words of four-byte letters).
SEARCHED_CHARACTERS = 60_000

# Stop words take positions and leave no words: without them a phrase would also match the last word of the plain
# form beside the first of the stemmed one (“red buoy” in a note that says “buoy red”).
_GAP = Value("the " * 8)

# Plain words for every language, stems for English, title before body.
_SEARCH_VECTOR = (
    SearchVector("title", config="simple", weight="A")
    + SearchVector(Concat(_GAP, "title"), config="english", weight="A")
    + SearchVector(Left("body", SEARCHED_CHARACTERS), config="simple", weight="D")
    + SearchVector(Concat(_GAP, Left("body", SEARCHED_CHARACTERS)), config="english", weight="D")
)


class NoteKind(models.TextChoices):
    MARKDOWN = "markdown"
    SETTINGS = "settings"
    MEDIA_IMAGE = "media_image"
    MEDIA_VIDEO = "media_video"


# What lists leave in the database.
TEXT_FIELDS = ("search_vector", "body", "front_matter", "metadata")


class NoteQuerySet(models.QuerySet["Note"]):
    def live(self) -> "NoteQuerySet":
        return self.filter(deleted_at__isnull=True)

    def without_text(self) -> "NoteQuerySet":
        """For lists: neither bodies nor vectors leave the database."""
        return self.defer(*TEXT_FIELDS)


class NoteManager(models.Manager["Note"]):
    """Leaves the search vector in the database: as large as the text, and of no use to Python."""

    def get_queryset(self) -> NoteQuerySet:
        return NoteQuerySet(self.model, using=self._db).defer("search_vector")

    def live(self) -> NoteQuerySet:
        return self.get_queryset().live()


class Note(models.Model):
    """`front_matter + body` is the file, to the byte. Written by `notes.services` alone."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="notes")
    path = models.CharField(max_length=1024, blank=True, help_text="The file path inside the workspace.")
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True, help_text="Markdown after the front matter.")
    front_matter = models.TextField(blank=True, help_text="The imported YAML block, verbatim, with its --- lines.")
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    aliases = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True, help_text="The front matter, parsed.")
    kind = models.CharField(max_length=16, choices=NoteKind.choices, default=NoteKind.MARKDOWN)
    version = models.PositiveIntegerField(default=1)
    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    search_vector = models.GeneratedField(expression=_SEARCH_VECTOR, output_field=SearchVectorField(), db_persist=True)

    objects: ClassVar[NoteManager] = NoteManager()

    class Meta:
        ordering = ["path", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "path"],
                condition=Q(deleted_at__isnull=True) & ~Q(path=""),
                name="note_path_once",
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="note_version_positive"),
            models.CheckConstraint(condition=Q(kind__in=NoteKind.values), name="note_kind_known"),
            models.CheckConstraint(condition=~Q(title=""), name="note_title_given"),
        ]
        indexes = [
            GinIndex(fields=["search_vector"], name="note_search", fastupdate=False),
            GinIndex(fields=["tags"], name="note_tags"),
            models.Index(fields=["workspace", "-updated_at", "id"], name="note_recent"),
            models.Index(
                fields=["workspace", "path", "id"],
                name="note_by_path",
                opclasses=["", "text_pattern_ops", ""],
            ),
            # In the order of lists; the one above knows prefixes only, whatever the database's collation.
            models.Index(fields=["workspace", "path", "id"], condition=Q(deleted_at=None), name="note_in_order"),
            models.Index(fields=["workspace", "title", "id"], condition=Q(deleted_at=None), name="note_by_title"),
        ]
        triggers = [
            # Whoever writes: an update is a new version, the next one.
            pgtrigger.Trigger(
                name="note_version_adds_one",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                func="""
                    IF NEW.version <> OLD.version + 1 THEN
                        RAISE EXCEPTION 'note %: version % cannot follow %', OLD.id, NEW.version, OLD.version
                            USING ERRCODE = 'integrity_constraint_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Protect(name="note_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def state(self) -> dict[str, Any]:
        """The versioned fields, as history keeps them."""
        return {field: getattr(self, field) for field in VERSIONED_FIELDS}


# What history keeps and a rollback brings back.
VERSIONED_FIELDS = ("path", "title", "body", "front_matter", "tags", "aliases", "deleted_at")


class CauseKind(models.TextChoices):
    PERSON = "person"
    OPERATION = "operation"
    IMPORT = "import"
    ROLLBACK = "rollback"
    UNDO = "undo"


class NoteEvent(models.Model):
    """One version of a note. `before` holds the changed fields' former values, so that an import of thousands
    does not store each text twice, and any version is the present note with later events unwound."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    note = models.ForeignKey(Note, on_delete=models.PROTECT, related_name="history")
    seq = models.PositiveIntegerField(help_text="The version that this made.")
    changed = ArrayField(models.CharField(max_length=16), default=list)
    before = models.JSONField(default=dict)
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    cause = models.CharField(max_length=16, choices=CauseKind.choices)
    run_id = models.UUIDField(null=True)
    operation_id = models.UUIDField(null=True)
    reason = models.TextField(blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["note", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["note", "seq"], name="note_event_once"),
            models.CheckConstraint(condition=Q(cause__in=CauseKind.values), name="note_event_cause_known"),
        ]
        triggers = [pgtrigger.Protect(name="note_event_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"version {self.seq}"


class NoteName(models.Model):
    """A key under which links find a live note (path, stem, title, alias: in this order of rank)."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    note = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="names")
    key = models.CharField(max_length=1100)
    rank = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "key", "note"], name="note_name_once")]

    def __str__(self) -> str:
        return self.key


class NoteLink(models.Model):
    """A link as it stands in a live note's text, and the note or attachment that it means at present, if any."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    source = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="links")
    position = models.PositiveIntegerField(help_text="Order within the source.")
    kind = models.CharField(max_length=16)
    raw = models.TextField()
    key = models.CharField(max_length=1100)
    heading = models.CharField(max_length=400, blank=True)
    text = models.TextField(blank=True)
    target = models.ForeignKey(Note, null=True, on_delete=models.SET_NULL, related_name="backlinks")
    attachment = models.ForeignKey(
        "Attachment", null=True, on_delete=models.SET_NULL, related_name="links", help_text="Where it means no note."
    )

    class Meta:
        ordering = ["source", "position"]
        constraints = [models.UniqueConstraint(fields=["source", "position"], name="note_link_once")]
        indexes = [models.Index(fields=["workspace", "key"], name="note_link_key")]

    def __str__(self) -> str:
        return self.raw


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def live(self) -> "AttachmentQuerySet":
        return self.filter(deleted_at__isnull=True)


class Attachment(models.Model):
    """A file beside the notes, kept as it came. Its content lies once per sha256 in Django's storage."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="attachments")
    path = models.CharField(max_length=1024)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    file = models.FileField(max_length=200)
    keys = ArrayField(
        models.CharField(max_length=1100),
        default=list,
        db_default=Value([]),
        help_text="What links call it, the surest first.",
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        ordering = ["workspace", "path"]
        constraints = [models.UniqueConstraint(fields=["workspace", "path"], name="attachment_path_once")]
        indexes = [GinIndex(fields=["keys"], name="attachment_keys", fastupdate=False)]

    def __str__(self) -> str:
        return self.path
