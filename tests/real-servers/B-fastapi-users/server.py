"""fastapi-users behind the paths of document 001.

Users, passwords, access tokens and single-use refresh tokens are the library's (JWTStrategy and DatabaseStrategy).
Ours is the wiring: one login and one refresh route that return both tokens, as the document shows.

Environment: ACCESS_TTL and REFRESH_TTL in seconds. Keeps its database in the working directory.
"""

import os
import uuid
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.router.common import ErrorCode
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

ACCESS_TTL = int(os.environ.get("ACCESS_TTL", 3600))
REFRESH_TTL = int(os.environ.get("REFRESH_TTL", 86_400))
KEY = "only-ever-used-on-loopback-by-the-tests-of-tokend"


class Tables(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Tables):
    pass


class IssuedRefreshToken(SQLAlchemyBaseAccessTokenTableUUID, Tables):
    pass


class ShownUser(schemas.BaseUser[uuid.UUID]):
    pass


class Users(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = KEY
    verification_token_secret = KEY


database = create_async_engine("sqlite+aiosqlite:///./users.db")
sessions = async_sessionmaker(database, expire_on_commit=False)


async def session():
    async with sessions() as opened:
        yield opened


async def users(opened=Depends(session)):
    yield Users(SQLAlchemyUserDatabase(opened, User))


def access_tokens():
    return JWTStrategy(secret=KEY, lifetime_seconds=ACCESS_TTL)


def refresh_tokens(opened=Depends(session)):
    table = SQLAlchemyAccessTokenDatabase(opened, IssuedRefreshToken)
    return DatabaseStrategy(table, lifetime_seconds=REFRESH_TTL)


backend = AuthenticationBackend(
    name="jwt",
    transport=BearerTransport(tokenUrl="auth/jwt/login"),
    get_strategy=access_tokens,
)
library = FastAPIUsers[User, uuid.UUID](users, [backend])


@asynccontextmanager
async def prepared(_app):
    async with database.begin() as connection:
        await connection.run_sync(Tables.metadata.create_all)
    async with sessions() as opened:
        manager = Users(SQLAlchemyUserDatabase(opened, User))
        if await manager.user_db.get_by_email("you@example.com") is None:
            account = schemas.BaseUserCreate(email="you@example.com", password="s3cret pa&ss")
            await manager.create(account)
    yield


app = FastAPI(lifespan=prepared)
app.include_router(library.get_users_router(ShownUser, ShownUser), prefix="/users")


async def both_tokens(user, access, refresh):
    return {
        "access_token": await access.write_token(user),
        "refresh_token": await refresh.write_token(user),
        "token_type": "bearer",
        "expires_in": ACCESS_TTL,
    }


@app.post("/auth/jwt/login")
async def login(
    form: OAuth2PasswordRequestForm = Depends(),
    manager=Depends(users),
    access=Depends(access_tokens),
    refresh=Depends(refresh_tokens),
):
    user = await manager.authenticate(form)
    if user is None or not user.is_active:
        raise HTTPException(400, ErrorCode.LOGIN_BAD_CREDENTIALS)
    return await both_tokens(user, access, refresh)


@app.post("/auth/jwt/refresh")
async def refresh(
    refresh_token: Annotated[str, Header()],
    manager=Depends(users),
    access=Depends(access_tokens),
    refresh=Depends(refresh_tokens),
):
    user = await refresh.read_token(refresh_token, manager)
    if user is None:
        raise HTTPException(401, "Unauthorized")
    await refresh.destroy_token(refresh_token, user)
    return await both_tokens(user, access, refresh)
