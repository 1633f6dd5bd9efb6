from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('automation', '0006_language_models'),
        ('librarian', '0004_review_desk'),
        ('notes', '0001_initial'),
        ('workspaces', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['decided_at'], include=('workspace', 'kind', 'model', 'status', 'edited', 'decided_by', 'shown_at', 'via'), name='operation_figures'),
        ),
    ]
