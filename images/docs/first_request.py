"""The first request that somebody makes: three lines of curl."""

KEY = "koala_…"


def command(base_url: str) -> str:
    return (
        f"curl {base_url}/api/v1/convert \\\n"
        f'  -H "Authorization: Bearer {KEY}" \\\n'
        "  -F file=@photo.png -F output_format=webp"
    )
