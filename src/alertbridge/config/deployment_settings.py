"""`deployments:`, what CI and forges tell of deployments, and what is asked of forges in turn."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from alertbridge.config.refuse import refused
from alertbridge.config.section import SecretText, Section
from alertbridge.config.source_settings import AuthSettings
from alertbridge.config.values import BaseUrl, Name, Span, Text


class GithubWebhookSettings(Section):
    """Webhooks of GitHub, at `/v1/deployments/github`."""

    secret: SecretText = Field(
        description="The secret of the webhook, that GitHub signs with.",
        examples=["${GITHUB_WEBHOOK_SECRET}"],
    )
    secret_file: Text | None = Field(
        None, description="A file that holds the secret.", examples=["github-webhook-secret"]
    )


class GitlabWebhookSettings(Section):
    """Webhooks of GitLab, at `/v1/deployments/gitlab`."""

    token: SecretText = Field(
        description="The secret token of the webhook, that GitLab sends along.",
        examples=["${GITLAB_WEBHOOK_TOKEN}"],
    )
    token_file: Text | None = Field(
        None, description="A file that holds the token.", examples=["gitlab-webhook-token"]
    )


class GithubApiSettings(Section):
    """GitHub's API, or that of a GitHub Enterprise Server."""

    token: SecretText = Field(
        description="A token that may read pull requests.", examples=["${GITHUB_TOKEN}"]
    )
    token_file: Text | None = Field(
        None, description="A file that holds the token.", examples=["github-token"]
    )
    base_url: BaseUrl = Field(
        "https://api.github.com",
        description="The root of its API.",
        examples=["https://api.github.com", "https://github.example.com/api/v3"],
    )
    web_url: BaseUrl = Field(
        "https://github.com",
        description="What the addresses of its repositories begin with.",
        examples=["https://github.example.com"],
    )


class GitlabApiSettings(Section):
    """GitLab's API, on gitlab.com or elsewhere."""

    token: SecretText = Field(description="A token with the scope `read_api`.", examples=["${GITLAB_TOKEN}"])
    token_file: Text | None = Field(
        None, description="A file that holds the token.", examples=["gitlab-token"]
    )
    base_url: BaseUrl = Field(
        "https://gitlab.com",
        description="Where it is, without `/api/v4`.",
        examples=["https://gitlab.example.com"],
    )
    web_url: BaseUrl | None = Field(
        None,
        description="What the addresses of its repositories begin with; `base_url` unless said.",
        examples=["https://gitlab.example.com"],
    )


class ResolveSettings(Section):
    """Which forges are asked for the pull request of a commit that was deployed."""

    github: GithubApiSettings | None = Field(
        None, description="GitHub.", examples=[{"token_file": "github-token"}]
    )
    gitlab: GitlabApiSettings | None = Field(
        None, description="GitLab.", examples=[{"token_file": "gitlab-token"}]
    )


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise refused("no environment is named", "name one, or remove the line")
    return value


class DeploymentsSettings(Section):
    """Deployments: who may tell of them, and which of them an incident is laid to."""

    auth: AuthSettings | None = Field(
        None,
        description="How CI proves who it is at `/v1/deployments`; the admin token serves too.",
        examples=[{"bearer_token_file": "deployments-token"}],
    )
    github: GithubWebhookSettings | None = Field(
        None,
        description="Take webhooks of GitHub.",
        examples=[{"secret_file": "github-webhook-secret"}],
    )
    gitlab: GitlabWebhookSettings | None = Field(
        None, description="Take webhooks of GitLab.", examples=[{"token_file": "gitlab-webhook-token"}]
    )
    production: Annotated[tuple[Text, ...], AfterValidator(_some)] = Field(
        ("production", "prod", "live"),
        description="The names of the environments whose deployments cause incidents, in any case.",
        examples=[["production", "prod-eu"]],
    )
    max_age: Span = Field(
        timedelta(days=7),
        description="How long before an incident a deployment may have finished that it is laid to.",
        examples=["7d"],
    )
    merges_deploy_to: Text | None = Field(
        None,
        description="The environment that a merge into the default branch counts as a deployment to; none unless said.",
        examples=["production"],
    )
    forward: Name | None = Field(
        None,
        description="The destination, of type `hivel`, that deployments are passed on to; none unless said.",
        examples=["hivel"],
    )
    resolve: ResolveSettings = Field(
        default_factory=ResolveSettings,
        description="Ask forges for the pull request where only the commit was told.",
        examples=[{"github": {"token_file": "github-token"}}],
    )
