"""`{% replay_in_words replay as told %}`: what a replay that is done tells."""

from django import template

from usage.models import Replay
from usage.replay import words

register = template.Library()


@register.simple_tag
def replay_in_words(replay: Replay) -> words.Told:
    return words.tell(replay)
