"""The words that the diagnostic's edits know. English; projects add antonyms of their own.

Every antonym stands once, in one direction; edits use both.
"""

from __future__ import annotations

from collections.abc import Mapping

_ANTONYMS = """
able unable; above below; accept reject; active inactive; add remove; after before; allow block;
always never; approve decline; arrived missing; attach detach; available unavailable; backup
restore; big small; broken working; buy sell; charge refund; cheap expensive; close open; closed
opened; complete incomplete; connect disconnect; correct incorrect; create delete; credit debit;
decrease increase; deposit withdraw; disable enable; disabled enabled; download upload; early
late; empty full; encrypt decrypt; enter leave; expand collapse; external internal; failed
succeeded; fast slow; first last; forward backward; gain lose; grant revoke; hide show; high low;
import export; include exclude; input output; install uninstall; into out; join leave; known
unknown; left right; lock unlock; locked unlocked; login logout; long short; many few; max min;
maximum minimum; minor major; more less; mount unmount; mute unmute; new old; next previous;
offline online; optional required; outgoing incoming; pass fail; pause resume; permanent
temporary; possible impossible; private public; push pull; quiet loud; raise lower; receive send;
received sent; register unregister; rising falling; safe unsafe; same different; secure insecure;
sender recipient; start stop; started stopped; subscribe unsubscribe; success failure; top bottom;
up down; upgrade downgrade; valid invalid; visible hidden; win lose; with without; wrong right;
zip unzip
"""


def antonyms(more: Mapping[str, str]) -> dict[str, str]:
    """Word -> its opposite, both ways; `more` wins over what is known."""
    found: dict[str, str] = {}
    pairs = [tuple(pair.split()) for pair in _ANTONYMS.split(";")]
    for one, other in pairs:
        found.setdefault(one, other)
        found.setdefault(other, one)
    for one, other in more.items():
        found[one.casefold()] = other.casefold()
        found[other.casefold()] = one.casefold()
    return found


# Where "not" goes: behind these words (their contracted forms are in CONTRACTIONS).
AUXILIARIES = (
    "is are was were am can could will would should does do did has have had must may might"
).split()
# What carries a "do not" in front of it when no auxiliary is there.
SUBJECTS = "i you we they users customers people".split()
SINGULAR = "it he she this that user customer".split()

# long form -> short form
CONTRACTIONS = {
    "is not": "isn't",
    "are not": "aren't",
    "was not": "wasn't",
    "were not": "weren't",
    "can not": "can't",
    "cannot": "can't",
    "could not": "couldn't",
    "will not": "won't",
    "would not": "wouldn't",
    "should not": "shouldn't",
    "does not": "doesn't",
    "do not": "don't",
    "did not": "didn't",
    "has not": "hasn't",
    "have not": "haven't",
    "had not": "hadn't",
    "i am": "I'm",
    "i have": "I've",
    "i will": "I'll",
    "i would": "I'd",
    "it is": "it's",
    "that is": "that's",
    "there is": "there's",
    "what is": "what's",
    "where is": "where's",
    "we are": "we're",
    "they are": "they're",
    "you are": "you're",
    "we have": "we've",
    "let us": "let's",
}

GREETINGS = ("Hi there,", "Hello,", "Good morning,", "Dear team,", "Hey,", "Hi all,")
CLOSINGS = (
    "Thanks in advance!",
    "Thank you.",
    "Kind regards",
    "Best regards, Sam",
    "Many thanks and have a nice day.",
    "Cheers",
)
DISTRACTORS = (
    "Please note that our office hours have changed this week.",
    "This message was sent from my phone.",
    "I am writing on behalf of my department.",
    "I have been with the company for a while now.",
    "You can reach me by e-mail or chat during the day.",
    "Sorry if this is not the right place to ask.",
    "I hope you had a good weekend.",
    "The information in this message is confidential.",
    "Feel free to share this with your colleagues.",
    "I will be in meetings for most of the afternoon.",
)

PLACES = "Berlin Lisbon Oslo Madrid Dublin Vienna Prague Athens Warsaw Turin".split()
IDENTIFIERS = (
    "ticket INC{0:07d}",
    "version {1}.{2}.{3}",
    "order {0:06d}",
    "server srv-{1}{2}{3}",
    "build {0:05d}",
)
COUNTS = ("for {0} users", "{0} times in a row", "on {0} devices", "in {0} cases")
CALENDAR = frozenset(
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May "
    "June July August September October November December".split()
)  # capitalised, and no names
STOPWORDS = frozenset(
    "a an and are as at be been but by can could did do does for from had has have he her his how "
    "i if in is it its me my no not of on or our she so some than that the their them then there "
    "they this to too up us was we were what when where which who why will with would you your "
    "please hi hello cannot thanks thank any all just get got am into out about after "
    "before".split()
)
