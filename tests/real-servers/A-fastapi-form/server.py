"""FastAPI and AuthX behind the paths of document 000.

The password form, the validation errors and the tokens are the libraries' own. Ours are the paths, one table of
users, and the 400 "Invalid session!" with which that API refuses a token.

Environment: ACCESS_TTL and REFRESH_TTL in seconds, ROTATE=1 for a new refresh token with every refresh.
"""

import os
from datetime import timedelta

from authx import AuthX, AuthXConfig, RequestToken
from authx.exceptions import AuthXException
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel

PASSWORDS = {
    "you@example.com": "s3cret pa&ss",
    "plus+user@example.com": "p%40ss word+é",
}


def seconds(name: str, default: int) -> timedelta:
    return timedelta(seconds=int(os.environ.get(name, default)))


issuer = AuthX(
    config=AuthXConfig(
        JWT_ALGORITHM="HS256",
        JWT_SECRET_KEY="only-ever-used-on-loopback-by-the-tests-of-tokend",
        JWT_TOKEN_LOCATION=["headers"],
        JWT_ACCESS_TOKEN_EXPIRES=seconds("ACCESS_TTL", 900),
        JWT_REFRESH_TOKEN_EXPIRES=seconds("REFRESH_TTL", 86_400),
    )
)
rotates = os.environ.get("ROTATE") == "1"
app = FastAPI()


class RefreshRequest(BaseModel):
    refresh_token: str


def subject_of(token: str, kind: str) -> str:
    request = RequestToken(token=token, location="headers", type=kind)
    try:
        return issuer.verify_token(request, verify_csrf=False, verify_type=True).sub
    except AuthXException as refused:
        raise HTTPException(400, "Invalid session! Please try again.") from refused


@app.post("/login")
def login(form: OAuth2PasswordRequestForm = Depends()):
    if PASSWORDS.get(form.username) != form.password:
        raise HTTPException(400, "Incorrect username or password")
    return {
        "access_token": issuer.create_access_token(form.username),
        "refresh_token": issuer.create_refresh_token(form.username),
        "token_type": "bearer",
    }


@app.post("/refresh_token")
def refresh(request: RefreshRequest):
    user = subject_of(request.refresh_token, "refresh")
    reply = {"access_token": issuer.create_access_token(user), "token_type": "bearer"}
    if rotates:
        reply["refresh_token"] = issuer.create_refresh_token(user)
    return reply


@app.get("/v1/project/list")
def projects(token: str = Depends(OAuth2PasswordBearer(tokenUrl="login"))):
    return {"user": subject_of(token, "access"), "projects": []}
