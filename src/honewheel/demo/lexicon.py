"""The words that the demo's requirements are made of.

Ordinary words only: no SQL keyword (a table called `order` does not run), no word that Mermaid
reads as its own, and no letter pair that the house style claims for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Value = Literal["string", "int", "decimal", "date"]  # the kind of value an attribute holds


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute as it is said ("unit price") and the kind of value it holds."""

    words: str
    value: Value

    @property
    def name(self) -> str:
        """The attribute as an identifier."""
        return self.words.replace(" ", "_")


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb in the forms that sentences and labels need."""

    base: str
    third: str
    participle: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DOMAINS: Mapping[str, tuple[str, ...]] = {
    domain: _words(nouns)
    for domain, nouns in {
        "bike rental": "rider bike station rental helmet scooter battery",
        "library": "reader book author loan shelf publisher librarian",
        "clinic": "patient doctor appointment prescription nurse ward vaccine",
        "school": "student teacher course lesson exam classroom assignment",
        "web shop": "customer product basket payment parcel review coupon",
        "hotel": "guest room booking invoice suite receptionist voucher",
        "restaurant": "waiter menu dish reservation chef ingredient kitchen",
        "bank": "client account card branch mortgage teller withdrawal",
        "warehouse": "warehouse pallet item forklift carton supplier picker",
        "haulage company": "truck driver route depot container trip dispatcher",
        "software team": "project developer sprint milestone bug repository tester",
        "gym": "trainer member workout membership locker exercise machine",
        "cinema": "movie actor director screening seat studio spectator",
        "record label": "artist album song concert band playlist listener",
        "newspaper": "editor article journalist newspaper subscriber photo advertiser",
        "estate agency": "property buyer visit apartment tenant landlord lease",
        "museum": "museum exhibit curator painting gallery visitor sculpture",
        "workshop": "vehicle mechanic repair engine estimate inspection invoice",
        "farm": "farmer field crop tractor harvest silo orchard",
        "airport": "flight airline passenger runway gate suitcase pilot",
        "energy supplier": "turbine substation meter outage household tariff contract",
        "charity": "donor donation campaign volunteer shelter sponsor pledge",
        "laboratory": "sample experiment researcher instrument protocol reagent specimen",
        "help desk": "ticket agent comment requester attachment incident escalation",
    }.items()
}
NOUNS: tuple[str, ...] = tuple(sorted({noun for nouns in DOMAINS.values() for noun in nouns}))

PEOPLE: frozenset[str] = frozenset(
    _words(
        "rider reader author publisher librarian patient doctor nurse student teacher customer "
        "guest receptionist waiter chef client teller supplier picker driver dispatcher developer "
        "tester trainer member actor director spectator artist band listener editor journalist "
        "subscriber advertiser buyer tenant landlord curator visitor mechanic farmer "
        "airline passenger pilot household donor sponsor volunteer researcher agent requester"
    )
)

_SAID_OF_PEOPLE: dict[Value, str] = {
    "string": "first name,last name,email,phone,nickname,job title,department,language,nationality",
    "int": "age,experience,points,credits",
    "decimal": "salary,balance,bonus,credit limit",
    "date": "birth date,hire date,registration date,last login date",
}
_SAID_OF_THINGS: dict[Value, str] = {
    "string": "title,description,color,model,brand,serial number,material,location,category,"
    "website,barcode,topic,severity,reason,origin,destination,currency,reference,summary,message,"
    "payment method,file name",
    "int": "quantity,capacity,page count,rank,height,duration,seats,priority,stock,year,"
    "floor number,calories,score,rating,mileage,attempts",
    "decimal": "price,weight,total,amount,fee,cost,discount,tax,distance,width,length,volume,"
    "temperature,pressure,unit price,net price,tax rate,monthly fee,voltage,speed",
    "date": "due date,start date,end date,release date,delivery date,expiry date,payment date,"
    "return date,visit date,purchase date,opening date,invoice date",
}
_SAID_OF_ALL: dict[Value, str] = {"string": "name,status,code,notes,address,city,country"}


def _attributes(table: dict[Value, str]) -> tuple[Attribute, ...]:
    return tuple(
        Attribute(words, value) for value, text in table.items() for words in text.split(",")
    )


SHARED_ATTRIBUTES = _attributes(_SAID_OF_ALL)
PEOPLE_ATTRIBUTES = _attributes(_SAID_OF_PEOPLE) + SHARED_ATTRIBUTES
THING_ATTRIBUTES = _attributes(_SAID_OF_THINGS) + SHARED_ATTRIBUTES
ATTRIBUTES = tuple(dict.fromkeys(PEOPLE_ATTRIBUTES + THING_ATTRIBUTES))


def _verbs(text: str) -> tuple[Verb, ...]:
    return tuple(Verb(*forms.split("/")) for forms in text.split())


HAVE = Verb("have", "has", "had")
PEOPLE_VERBS = (
    HAVE,
    *_verbs(
        "own/owns/owned manage/manages/managed book/books/booked handle/handles/handled "
        "request/requests/requested sign/signs/signed record/records/recorded use/uses/used "
        "receive/receives/received submit/submits/submitted track/tracks/tracked"
    ),
)
THING_VERBS = (
    HAVE,
    *_verbs(
        "contain/contains/contained include/includes/included hold/holds/held "
        "require/requires/required produce/produces/produced store/stores/stored "
        "cover/covers/covered list/lists/listed receive/receives/received"
    ),
)
ACTIONS = _verbs(
    "create/creates/created update/updates/updated delete/deletes/deleted "
    "export/exports/exported approve/approves/approved archive/archives/archived "
    "cancel/cancels/cancelled edit/edits/edited submit/submits/submitted close/closes/closed "
    "print/prints/printed share/shares/shared reject/rejects/rejected "
    "register/registers/registered remove/removes/removed confirm/confirms/confirmed "
    "upload/uploads/uploaded assign/assigns/assigned"
)
ROLES = _words(
    "admin manager viewer auditor operator moderator clerk supervisor accountant employee cashier "
    "owner reviewer user"
)


def attributes_of(noun: str) -> tuple[Attribute, ...]:
    """Attributes that make sense for a noun."""
    return PEOPLE_ATTRIBUTES if noun in PEOPLE else THING_ATTRIBUTES


def verbs_of(noun: str) -> tuple[Verb, ...]:
    """Verbs that make sense with a noun as their subject."""
    return PEOPLE_VERBS if noun in PEOPLE else THING_VERBS


def plural(words: str) -> str:
    """The plural; of several words, that of the last."""
    if words.endswith("y") and words[-2] not in "aeiou":
        return words[:-1] + "ies"
    if words.endswith(("s", "x", "ch", "sh")):
        return words + "es"
    return words + "s"


def a(words: str) -> str:
    """The words with "a" or "an" before them."""
    vowel = words[0] in "aeio" or (words[0] == "u" and not words.startswith(("un", "us", "ur")))
    return f"{'an' if vowel else 'a'} {words}"
