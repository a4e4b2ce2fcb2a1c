"""Numbers of things in sentences."""


def counted(count: int, noun: str) -> str:
    """A number of things for people: `no databases`, `1 database`, `1,200 databases`."""
    return f"{f'{count:,}' if count else 'no'} {noun}{'' if count == 1 else 's'}"
