"""Seven plans and one product to start with, and the group of tutors. Staff may change every one of them."""

from django.db import migrations

# name, type, hundredths of hours, days, EUR and USD in cents, featured, description
PLANS = (
    ("Basic Package", "package", 500, 30, 7500, 8100, False, "Five hours to get to know each other."),
    ("Single Lesson", "package", 100, 14, 1800, 1950, False, "One hour, for a question that cannot wait."),
    ("Standard Package", "package", 1000, 60, 14000, 15100, True, "Ten hours for a subject that needs some time."),
    ("Intensive Package", "package", 2000, 90, 26000, 28100, False, "Twenty hours, for an exam that is near."),
    ("Semester Package", "package", 4000, 180, 48000, 51800, False, "Forty hours: a whole semester with one tutor."),
    ("Monthly Four", "subscription", 400, None, 5600, 6000, False, "Four hours every month, ends when you say so."),
    ("Monthly Eight", "subscription", 800, None, 10400, 11200, True, "Eight hours every month, ends when you say so."),
)
PRODUCT = {
    "sku": "hero-me-feelings",
    "name": "Hero Me Feelings - Personalized AAC Board",
    "description": "AI-powered personalized feelings board with 24+ custom images",
    "amount_minor": 200,
    "currency": "usd",
}
TUTORS = "Tutors"


def put_on_sale(apps, schema_editor):
    Plan, Price = apps.get_model("pricing", "PricingPlan"), apps.get_model("pricing", "PlanPrice")
    for order, (name, plan_type, hours, days, eur, usd, featured, description) in enumerate(PLANS, start=1):
        plan = Plan.objects.create(
            name=name,
            description=description,
            plan_type=plan_type,
            hours_hundredths=hours,
            validity_days=days,
            is_featured=featured,
            display_order=order * 10,
        )
        Price.objects.create(plan=plan, currency="eur", amount_minor=eur, is_default=True)
        Price.objects.create(plan=plan, currency="usd", amount_minor=usd)
    apps.get_model("pricing", "Product").objects.create(**PRODUCT)


def let_tutors_record(apps, schema_editor):
    """A fresh database has no permissions yet: Django makes them after the last migration. So this one is made here."""
    ContentType, Permission = apps.get_model("contenttypes", "ContentType"), apps.get_model("auth", "Permission")
    kind, _ = ContentType.objects.get_or_create(app_label="pricing", model="hourconsumption")
    may, _ = Permission.objects.get_or_create(
        content_type=kind,
        codename="consume_hours",
        defaults={"name": "Can record sessions that use students' hours, and reverse them"},
    )
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=TUTORS)
    group.permissions.add(may)


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0002_rules"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(put_on_sale, migrations.RunPython.noop),
        migrations.RunPython(let_tutors_record, migrations.RunPython.noop),
    ]
