"""Questions to a person at a terminal."""


def confirmed(question: str) -> bool:
    """Ask on stderr; whether the answer is yes.

    Raises:
        KeyboardInterrupt: Ctrl-C, or the end of the input, is no answer.
    """
    import typer  # a person is slower

    try:
        return bool(typer.confirm(question, err=True))
    except typer.Abort:
        raise KeyboardInterrupt from None
