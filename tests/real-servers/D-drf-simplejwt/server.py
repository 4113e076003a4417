"""Django REST framework and SimpleJWT behind the paths of document 003.

Basic authentication, throttling, tokens and the refresh view are the libraries' own. Ours is a login view of two
lines and the settings of a project in one file.

Environment: ACCESS_TTL and REFRESH_TTL in seconds, ROTATE=1 for single-use refresh tokens, LOGIN_RATE such as
3/min. Keeps its database in the working directory; `python server.py prepare` creates it.
"""

import os
import sys
from datetime import timedelta

import django
from django.conf import settings


def seconds(name: str, default: int) -> timedelta:
    return timedelta(seconds=int(os.environ.get(name, default)))


rotates = os.environ.get("ROTATE") == "1"
settings.configure(
    SECRET_KEY="only-ever-used-on-loopback-by-the-tests-of-tokend",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "accounts.db"}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "rest_framework_simplejwt",
        "rest_framework_simplejwt.token_blacklist",
    ],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework_simplejwt.authentication.JWTAuthentication"
        ],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_THROTTLE_RATES": {"login": os.environ.get("LOGIN_RATE", "1000/min")},
    },
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": seconds("ACCESS_TTL", 2700),
        "REFRESH_TOKEN_LIFETIME": seconds("REFRESH_TTL", 86_400),
        "ROTATE_REFRESH_TOKENS": rotates,
        "BLACKLIST_AFTER_ROTATION": rotates,
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.authentication import BasicAuthentication  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.throttling import ScopedRateThrottle  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.tokens import RefreshToken  # noqa: E402
from rest_framework_simplejwt.views import TokenRefreshView  # noqa: E402


class Login(APIView):
    authentication_classes = [BasicAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "login"

    def post(self, request):
        refresh = RefreshToken.for_user(request.user)
        return Response({"access": str(refresh.access_token), "refresh": str(refresh)})


class Me(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"user": request.user.username})


urlpatterns = [
    path("auth/api/v1/accounts/login", Login.as_view()),
    path("auth/api/v1/accounts/token", TokenRefreshView.as_view()),
    path("me", Me.as_view()),
]
application = get_wsgi_application()


def prepare():
    from django.contrib.auth.models import User

    call_command("migrate", verbosity=0)
    if not User.objects.filter(username="johndoe").exists():
        User.objects.create_user("johndoe", password="your_password:with:colons é")


if __name__ == "__main__" and sys.argv[1:] == ["prepare"]:
    prepare()
