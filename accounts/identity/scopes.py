"""What a service may ask for, and in a person's words what it will learn."""

# By scope, in the order in which pages tell them.
SCOPES = {
    "openid": "The number of your account here",
    "profile": "Your name",
    "email": "Your email address",
}


def in_words(scopes: list[str]) -> list[str]:
    return [words for scope, words in SCOPES.items() if scope in scopes]
