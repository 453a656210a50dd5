"""Words the synthetic corpus is made of, and makers of words nobody has seen.

Nouns and attributes that are SQL keywords, and entity names that are Mermaid keywords, are kept
out, because an artifact that uses them does not run.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

# Letter pairs that never occur in the corpus, so that a house style built on them is truly new.
RESERVED_BIGRAMS: tuple[str, ...] = ("zq", "qx", "xq", "vk", "jx", "wz")

# Three whole domains the corpus never mentions; held-out evaluation takes its nouns from here.
HELD_OUT_DOMAINS: dict[str, tuple[str, ...]] = {
    "airport": ("flight", "runway", "airline", "baggage", "airport", "aircraft", "passenger"),
    "farm": ("crop", "tractor", "harvest", "farmer", "orchard", "silo", "livestock"),
    "energy grid": ("turbine", "substation", "meter", "powerline", "transformer", "outage"),
}
HELD_OUT_NOUNS: frozenset[str] = frozenset(w for ws in HELD_OUT_DOMAINS.values() for w in ws)


class TypeClass(StrEnum):
    """The four kinds of value an attribute can hold."""

    INT = "int"
    DECIMAL = "decimal"
    STRING = "string"
    DATE = "date"


@dataclass(frozen=True)
class Attribute:
    """An attribute as it is said (`words`) and the class of value it holds."""

    words: str
    type_class: TypeClass

    @property
    def name(self) -> str:
        """The attribute as an identifier."""
        return self.words.replace(" ", "_")


@dataclass(frozen=True)
class Verb:
    """A verb in the forms the phrasings need."""

    base: str
    third: str
    participle: str


DOMAINS: dict[str, tuple[str, ...]] = {
    domain: tuple(nouns.split())
    for domain, nouns in {
        "web shop": "customer product category payment shipment review cart coupon refund supplier "
        "brand variant discount wishlist order basket receipt courier",
        "clinic": "patient doctor appointment prescription nurse ward diagnosis treatment surgeon "
        "allergy insurer referral vaccine symptom therapist",
        "school": "student teacher course lesson exam grade classroom semester enrollment subject "
        "homework school tutor assignment pupil timetable",
        "university": "professor lecture faculty campus thesis seminar scholarship university "
        "dormitory degree curriculum researcher",
        "library": "book author member loan publisher shelf librarian reservation copy genre fine "
        "library reader borrowing",
        "bank": "account client card transfer branch deposit withdrawal bank loan statement teller "
        "mortgage beneficiary wallet currency",
        "hotel": "guest room booking hotel invoice service amenity receptionist floor key "
        "minibar bed suite",
        "restaurant": "menu dish waiter dinner reservation chef ingredient recipe restaurant "
        "kitchen bill meal drink tip",
        "warehouse": "warehouse item pallet supplier stock bin forklift picker delivery zone dock "
        "inventory carton aisle",
        "logistics company": "truck driver route package carrier depot parcel container trip "
        "vehicle customs dispatcher trailer",
        "software team": "project task developer sprint milestone bug release repository "
        "feature epic build ticket backlog tester",
        "help desk": "ticket agent comment queue requester attachment incident problem article "
        "escalation macro team",
        "company": "employee department contract skill office manager position payroll company "
        "team shift vacation candidate interview",
        "gym": "trainer workout membership session gym locker exercise athlete machine plan "
        "instructor",
        "cinema": "movie actor director screening seat cinema studio trailer hall spectator show",
        "music service": "artist album track playlist listener label concert song band genre "
        "subscription podcast",
        "newspaper": "article editor journalist issue section reader subscriber column newspaper "
        "photo advertiser",
        "real estate agency": "property buyer visit offer agent apartment tenant landlord lease "
        "building house seller",
        "insurance": "policy claim holder agent vehicle accident premium damage adjuster insurer "
        "coverage",
        "sports club": "player coach game league season stadium score referee club team "
        "tournament medal sponsor",
        "conference": "speaker talk attendee sponsor session conference workshop badge paper "
        "reviewer organizer slot",
        "museum": "museum exhibit curator painting sculpture gallery visitor tour artwork "
        "collection donor",
        "factory": "machine operator part defect inspector batch factory sensor assembly material "
        "shift technician",
        "garage": "car mechanic repair vehicle garage owner engine wheel estimate appointment tire",
        "charity": "donor donation campaign volunteer charity event beneficiary grant project "
        "pledge",
        "survey tool": "survey question answer respondent poll vote option form participant topic",
        "law firm": "lawyer client dossier court hearing judge document witness verdict contract "
        "invoice",
        "city office": "citizen permit application officer district form complaint resident "
        "license certificate",
        "laboratory": "sample experiment researcher instrument result laboratory protocol reagent "
        "specimen measurement",
        "zoo": "animal keeper cage species feeding zoo visitor veterinarian habitat ticket",
        "travel agency": "traveler trip destination itinerary guide booking hotel tour passport "
        "visa agency cruise",
        "fleet": "bike scooter rental rider station battery ride helmet fleet bus train platform",
        "cloud service": "server cluster container image deployment alert tenant node user role "
        "permission device backup domain",
        "marketing team": "campaign audience lead deal channel contact newsletter advert keyword "
        "visitor segment",
    }.items()
}
NOUNS: tuple[str, ...] = tuple(sorted({noun for nouns in DOMAINS.values() for noun in nouns}))

_ATTRIBUTE_WORDS: dict[TypeClass, str] = {
    TypeClass.STRING: "name,email,phone,status,description,title,address,city,country,code,color,"
    "model,comment,notes,first name,last name,full name,phone number,email address,brand,username,"
    "password,nickname,gender,language,street,postal code,zip code,state,region,type,kind,category,"
    "reason,label,body,content,summary,subject,department,role,position,format,website,url,"
    "reference,material,license plate,serial number,isbn,sku,iban,account number,location,"
    "specialty,shape,topic,genre,origin,destination,message,currency,barcode,nationality,severity,"
    "room number,tracking number,comment text,billing address,shipping address,short code,"
    "job title,display name,contact name,payment method,file name,brand name,company name,"
    "time zone,blood type,version,slug,signature,diagnosis,instructions,owner name,tax number",
    TypeClass.INT: "quantity,stock,rating,capacity,age,year,score,level,priority,seats,credits,"
    "duration,points,pages,rank,height,size,floor number,page count,seat count,word count,"
    "view count,number of seats,number of pages,stock level,item count,publication year,mileage,"
    "population,experience,attempts,calories,minutes,hours,capacity limit,build year,"
    "maximum capacity,total points,guest count,position number,bed count,room count,votes",
    TypeClass.DECIMAL: "price,amount,total,balance,salary,weight,fee,rate,budget,cost,tax,discount,"
    "unit price,total amount,total price,net price,hourly rate,interest rate,monthly fee,"
    "daily rate,temperature,pressure,distance,width,length,volume,voltage,tax rate,net weight,"
    "credit limit,annual budget,premium,speed,deposit,insured value,value,monthly rent,bonus",
    TypeClass.DATE: "date,birth date,start date,end date,due date,hire date,release date,"
    "order date,payment date,delivery date,expiry date,publication date,registration date,"
    "booking date,return date,visit date,check in date,check out date,invoice date,event date,"
    "created date,date of birth,join date,loan date,purchase date,issue date,signing date,deadline,"
    "birthday,last login date,appointment date,shipping date,opening date",
}
ATTRIBUTES: tuple[Attribute, ...] = tuple(
    Attribute(words, type_class)
    for type_class, text in _ATTRIBUTE_WORDS.items()
    for words in text.split(",")
)

VERBS: tuple[Verb, ...] = tuple(
    Verb(*forms.split("/"))
    for forms in (
        "have/has/had own/owns/owned contain/contains/contained manage/manages/managed "
        "use/uses/used store/stores/stored send/sends/sent track/tracks/tracked "
        "produce/produces/produced include/includes/included handle/handles/handled "
        "place/places/placed write/writes/written book/books/booked serve/serves/served "
        "list/lists/listed employ/employs/employed sign/signs/signed cover/covers/covered "
        "receive/receives/received offer/offers/offered host/hosts/hosted "
        "publish/publishes/published teach/teaches/taught buy/buys/bought make/makes/made "
        "supply/supplies/supplied assign/assigns/assigned hold/holds/held rent/rents/rented "
        "attend/attends/attended lead/leads/led schedule/schedules/scheduled "
        "request/requests/requested record/records/recorded support/supports/supported "
        "submit/submits/submitted run/runs/run visit/visits/visited perform/performs/performed "
        "require/requires/required operate/operates/operated sell/sells/sold"
    ).split()
)

ACTIONS: tuple[Verb, ...] = tuple(
    Verb(*forms.split("/"))
    for forms in (
        "create/creates/created update/updates/updated delete/deletes/deleted "
        "export/exports/exported approve/approves/approved archive/archives/archived "
        "import/imports/imported cancel/cancels/cancelled publish/publishes/published "
        "edit/edits/edited view/views/viewed submit/submits/submitted assign/assigns/assigned "
        "close/closes/closed reopen/reopens/reopened renew/renews/renewed print/prints/printed "
        "share/shares/shared reserve/reserves/reserved reject/rejects/rejected "
        "download/downloads/downloaded register/registers/registered book/books/booked "
        "remove/removes/removed add/adds/added confirm/confirms/confirmed "
        "schedule/schedules/scheduled upload/uploads/uploaded sign/signs/signed "
        "transfer/transfers/transferred"
    ).split()
)

ROLES: tuple[str, ...] = tuple(
    "admin manager viewer auditor operator editor guest member owner customer librarian teacher "
    "student doctor nurse clerk supervisor accountant agent visitor moderator employee author "
    "reviewer developer trainer driver cashier receptionist user".split()
)

STRING_VALUES: tuple[str, ...] = tuple(
    "open closed active pending paid draft new archived cancelled approved Berlin Paris Madrid "
    "Rome London Vienna red blue green black white small medium large gold silver high low urgent "
    "blocked done shipped France Spain Italy Germany".split()
)

_IRREGULAR_PLURALS = {"diagnosis": "diagnoses", "thesis": "theses", "series": "series"}
_ONSETS = tuple("b c d f g h k l m n p r s t v w z br cr dr gr pl st tr sh ch fl cl sp".split())
_VOWELS = tuple("a e i o u a e i o ai ea ou io".split())
_CODAS = ("", "", "", "n", "r", "l", "t", "s", "x", "nd", "ck", "m", "ng", "rt")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Words that Mermaid or SQL would read as a keyword when they stand alone.
_FORBIDDEN_WORDS = frozenset(
    "pk fk uk to one many end u o as is in on or and not add all any asc by do if no of set with "
    "end for from into key like null drop else case cast desc glob join left temp then view when "
    "class style title fail full each cross inner outer using order group index table check where "
    "limit match begin abort alter right union raise plan ties".split()
)


def plural(word: str) -> str:
    """The plural of a noun; of a compound, the plural of its last part."""
    head, separator, last = word.rpartition("_") if "_" in word else word.rpartition(" ")
    if last in _IRREGULAR_PLURALS:
        last = _IRREGULAR_PLURALS[last]
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        last += "es"
    else:
        last += "s"
    return head + separator + last


def with_article(word: str) -> str:
    """The word with `a` or `an` before it."""
    vowel_sound = word[0] in "aeio" or (word[0] == "u" and not word.startswith(("us", "un", "ur")))
    return f"{'an' if vowel_sound else 'a'} {word}"


def is_reserved(text: str) -> bool:
    """Whether the text holds a letter pair kept out of the corpus."""
    lowered = text.lower()
    return any(pair in lowered for pair in RESERVED_BIGRAMS)


def _usable(word: str) -> bool:
    return not is_reserved(word) and word not in _FORBIDDEN_WORDS and word not in HELD_OUT_NOUNS


def _syllables(rng: random.Random) -> str:
    count = rng.choice((1, 2, 2, 3))
    stem = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(count))
    return stem + rng.choice(_CODAS)


def _blend(rng: random.Random) -> str:
    """The head of one noun and the tail of another: split by the tokenizer as real words are."""
    first, second = rng.sample(NOUNS, 2)
    return first[: max(2, (len(first) + 1) // 2)] + second[len(second) // 2 :]


def pseudo_word(rng: random.Random) -> str:
    """A pronounceable word that is in no dictionary."""
    while True:
        word = _blend(rng) if rng.random() < 0.5 else _syllables(rng)
        if 3 <= len(word) <= 12 and word not in NOUNS and _usable(word):
            return word


def affix(rng: random.Random) -> str:
    """One to four letters of any kind, as house styles put before or behind names."""
    while True:
        if rng.random() < 0.15:
            text = rng.choice(("tbl", "t", "db", "app", "fk", "col", "dim", "fact", "src", "ref"))
        else:
            text = "".join(rng.choice(_LETTERS) for _ in range(rng.choice((1, 2, 2, 3, 3, 4))))
        if not is_reserved(text):
            return text


def pseudo_attribute(rng: random.Random) -> Attribute:
    """An attribute with an unseen word, typed by its last word when that tells the type."""
    word = pseudo_word(rng)
    roll = rng.random()
    if roll < 0.7:
        return Attribute(word, TypeClass.STRING)
    tail, type_class = rng.choice(
        (
            ("date", TypeClass.DATE),
            ("count", TypeClass.INT),
            ("price", TypeClass.DECIMAL),
            ("amount", TypeClass.DECIMAL),
            ("name", TypeClass.STRING),
            ("code", TypeClass.STRING),
        )
    )
    return Attribute(f"{word} {tail}", type_class)
