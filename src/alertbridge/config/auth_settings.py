"""What ways to authenticate are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from alertbridge.config.refuse import refused
from alertbridge.config.section import SecretText, Section
from alertbridge.config.values import Text


def _without_colon(value: str) -> str:
    if ":" in value:
        raise refused("a user name holds no colon", "remove the colon")
    return value


class BasicSettings(Section):
    """HTTP basic authentication."""

    username: Annotated[Text, AfterValidator(_without_colon)] = Field(
        description="The user name that the sender must give.", examples=["alertmanager"]
    )
    password: SecretText = Field(
        description="The password that the sender must give.", examples=["${ALERTMANAGER_PASSWORD}"]
    )
    password_file: Text | None = Field(
        None, description="A file that holds the password.", examples=["alertmanager-password"]
    )
