"""The routes below /api/auth/."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import leaving, passwords, registration, signing_in
from accounts.models import User
from accounts.schema import SchemaWithDeleteBody
from accounts.serializers import (
    ChangeProfileSerializer,
    DoneSerializer,
    EmailSerializer,
    EraseSerializer,
    ExportSerializer,
    LoggedInSerializer,
    LoginSerializer,
    PasswordResetConfirmSerializer,
    RefreshSerializer,
    RegisterSerializer,
    TokensSerializer,
    UserSerializer,
    VerifyEmailSerializer,
)
from conventions.schema import RETRY_AFTER, WHO_ASKS, refusals
from conventions.serializers import StrictSerializer


class AnonymousView(APIView):
    """For people who are not logged in: whatever token or session they bring counts for nothing."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    rate_limit = "login"

    def parsed(self, request: Request, serializer_class: type[StrictSerializer]) -> dict[str, Any]:
        serializer = serializer_class(data=request.data)
        serializer.is_valid(raise_exception=True)
        data: dict[str, Any] = serializer.validated_data
        return data


def done(message: str, code: int = status.HTTP_200_OK) -> Response:
    return Response({"success": True, "message": message}, status=code)


class RegisterView(AnonymousView):
    @extend_schema(
        operation_id="auth_register",
        summary="Register",
        description="The same answer whether the address is known or not; the mail that follows says which.",
        request=RegisterSerializer,
        responses={201: DoneSerializer, **refusals(400, 429)},
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        registration.register(**self.parsed(request, RegisterSerializer))
        return done("We have sent you a mail. Open the link in it to confirm your address.", status.HTTP_201_CREATED)


class LoginView(AnonymousView):
    @extend_schema(
        operation_id="auth_login",
        summary="Log in",
        description="The same answer, after the same time, for an unknown address and a wrong password.",
        request=LoginSerializer,
        responses={200: LoggedInSerializer, **refusals(400, 401, 429, _401="`invalid_credentials`.")},
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        user, tokens = signing_in.log_in(request=request._request, **self.parsed(request, LoginSerializer))
        return Response({"access": tokens.access, "refresh": tokens.refresh, "user": UserSerializer(user).data})


class RefreshView(AnonymousView):
    rate_limit = "read"

    @extend_schema(
        operation_id="auth_refresh",
        summary="The next pair of tokens",
        description="A refresh token works once; the answer brings the next.",
        request=RefreshSerializer,
        responses={
            200: TokensSerializer,
            **refusals(400, 401, 429, _401="`token_expired` or `token_invalid`: log in again."),
        },
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        tokens = signing_in.refresh_tokens(**self.parsed(request, RefreshSerializer))
        return Response({"access": tokens.access, "refresh": tokens.refresh})


class LogoutView(AnonymousView):
    rate_limit = "read"

    @extend_schema(
        operation_id="auth_logout",
        summary="Log out",
        description="The refresh token works no more. A token that did not work before is no error.",
        request=RefreshSerializer,
        responses={204: None, **refusals(400, 429)},
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        signing_in.log_out(**self.parsed(request, RefreshSerializer))
        return Response(status=status.HTTP_204_NO_CONTENT)


class VerifyEmailView(AnonymousView):
    @extend_schema(
        operation_id="auth_verify_email",
        summary="Prove an address",
        description="With the token of the mailed link, which is good for three days and one use.",
        request=VerifyEmailSerializer,
        responses={
            200: DoneSerializer,
            **refusals(400, 429, _400="`token_expired`, `token_invalid`, or not valid at all."),
        },
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        registration.verify_email(**self.parsed(request, VerifyEmailSerializer))
        return done("Thank you. Your e-mail address is confirmed.")


class ResendVerificationView(AnonymousView):
    @extend_schema(
        operation_id="auth_verify_email_resend",
        summary="Ask for a new link to prove an address",
        description="The same answer whether the address is known or not.",
        request=EmailSerializer,
        responses={200: DoneSerializer, **refusals(400, 429)},
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        registration.resend_verification(**self.parsed(request, EmailSerializer))
        return done("If this address has an account that is not confirmed yet, we have sent it a new link.")


class PasswordResetView(AnonymousView):
    @extend_schema(
        operation_id="auth_password_reset",
        summary="Ask for a link to choose a new password",
        description="The same answer whether the address is known or not.",
        request=EmailSerializer,
        responses={200: DoneSerializer, **refusals(400, 429)},
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        passwords.request_password_reset(**self.parsed(request, EmailSerializer))
        return done("If this address has an account, we have sent it a link to choose a new password.")


class PasswordResetConfirmView(AnonymousView):
    @extend_schema(
        operation_id="auth_password_reset_confirm",
        summary="Choose a new password",
        description="With the token of the mailed link, good for an hour and one use. Ends every log-in.",
        request=PasswordResetConfirmSerializer,
        responses={
            200: DoneSerializer,
            **refusals(400, 429, _400="`token_expired`, `token_invalid`, `weak_password`, or not valid at all."),
        },
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        passwords.reset_password(**self.parsed(request, PasswordResetConfirmSerializer))
        return done("Your new password is set. Please log in with it.")


def signed_in(request: Request) -> User:
    assert isinstance(request.user, User)  # IsAuthenticated let nobody else through
    return request.user


class MeView(APIView):
    permission_classes = (IsAuthenticated,)
    schema = SchemaWithDeleteBody()

    @property
    def rate_limit(self) -> str:
        """Erasing asks for the password, which nobody shall guess with a token they found."""
        return "login" if self.request.method == "DELETE" else "read"

    @extend_schema(
        operation_id="auth_me",
        summary="Who I am",
        responses={200: UserSerializer, **refusals(*WHO_ASKS)},
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def get(self, request: Request) -> Response:
        return Response(UserSerializer(signed_in(request)).data)

    @extend_schema(
        operation_id="auth_me_change",
        summary="Change my name or language",
        request=ChangeProfileSerializer,
        responses={200: UserSerializer, **refusals(400, *WHO_ASKS)},
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def patch(self, request: Request) -> Response:
        serializer = ChangeProfileSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = signed_in(request)
        for field, value in serializer.validated_data.items():
            setattr(user, field, value)
        user.save(update_fields=list(serializer.validated_data))
        return Response(UserSerializer(user).data)

    @extend_schema(
        operation_id="auth_me_erase",
        summary="Erase me",
        description="Personal data goes and nobody can log in again; amounts and transfers stay. It cannot be undone.",
        request=EraseSerializer,
        responses={
            204: None,
            **refusals(400, 409, *WHO_ASKS, _403="`wrong_password`, or a session without its CSRF token.", _409="`sole_owner`."),
        },
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def delete(self, request: Request) -> Response:
        serializer = EraseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        leaving.erase_on_request(user=signed_in(request), **serializer.validated_data)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExportView(APIView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(
        operation_id="auth_me_export",
        summary="Everything held about me",
        responses={200: ExportSerializer, **refusals(*WHO_ASKS)},
        parameters=[RETRY_AFTER],
        tags=["auth"],
    )
    def get(self, request: Request) -> Response:
        return Response(leaving.export_person(user=signed_in(request)))
