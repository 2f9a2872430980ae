"""People who sign in to the admin."""

from django.contrib.auth.models import Permission, User
from django.test import Client


def signed_in(*permissions: str) -> Client:
    """Somebody of the staff who holds these permissions and no others."""
    user = User.objects.create_user(f"staff {permissions}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client
