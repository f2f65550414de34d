"""What customers write in the refunds task: the clauses, the chatter, and what they bought.

Held-out wordings are mostly built of words that the others use too: a student trained from scratch
has no use for a word that it never saw, and what is to be tested is the new turn of phrase.
"""

from __future__ import annotations

from limbeck.capture.sandbox.wording import Wording, bank

SEPARATORS = (". ", ", and ", ", but ", "; ")
"""What stands between clauses; it never stands inside one."""

CLAUSES: dict[str, tuple[Wording, ...]] = {
    "opened": bank(
        "opened",
        [
            "i (opened|unpacked|unwrapped) (it|the box|the {item}) (at once|last week|at home)",
            "the (seal|box) is open already",
            "i (tried|used) (it|the {item}) (once|twice|a few times)",
            "i took (it|the {item}) out of (the|its) box",
            "we have been using (it|the {item}) (daily|at home)",
            "i (cut|tore) off the (seal|wrapping)",
            "the {item} is out of its box",
            "my (son|sister) has (used|tried|opened) (it|the {item})",
        ],
        [
            "my (son|sister) took it out of the wrapping",
            "the (box|seal) has been (opened|cut) at home",
            "i have (used|tried) the {item} a few times already",
            "it is out of the (wrapping|box) already",
        ],
    ),
    "sealed": bank(
        "sealed",
        [
            "i (never opened|did not open|have not opened) (it|the box|the {item})",
            "(it|the {item}) is still (sealed|wrapped|in its box)",
            "the (seal|wrapping) is (intact|untouched|whole)",
            "nobody has (used|tried|opened) (it|the {item})",
            "(it|the {item}) (sits|stays) in the box unused",
            "i left (it|the box) (sealed|closed)",
            "the box is (closed|unopened) still",
            "i have not (used|tried) (it|the {item}) (once|yet)",
        ],
        [
            "the {item} was never taken out of its box",
            "nobody took it out of the (box|wrapping)",
            "the (seal|box) is still (closed|untouched|intact)",
            "it is (unused|unopened) and still (sealed|wrapped)",
        ],
    ),
    "damaged": bank(
        "damaged",
        [
            "(it|the {item}) (arrived|came) (broken|cracked|dented|scratched)",
            "there (was|is) a (crack|dent|scratch|hole) in it (on arrival|from the start)",
            "(it|the {item}) was (broken|cracked|damaged) (on arrival|in transit)",
            "the courier (dropped|crushed) (it|the {item}|the parcel)",
            "it came with a (crack|dent|hole)",
            "one part (was missing|came broken|came bent)",
            "(it|the {item}) was (faulty|dead) from the start",
            "the {item} was (crushed|bent|wet) in the parcel",
        ],
        [
            "a (crack|dent|hole) was there on arrival",
            "the parcel was (crushed|dropped|wet) in transit",
            "one part was (broken|bent|missing) from the start",
            "i found the {item} (cracked|scratched|dented) in the parcel",
        ],
    ),
    "sound": bank(
        "sound",
        [
            "(it|the {item}) (arrived|came) (in good shape|in one piece|without a scratch)",
            "nothing is (wrong with|broken on) (it|the {item})",
            "(it|the {item}) is (fine|in perfect order)",
            "the {item} (has no fault|works well)",
            "there (was|is) no (crack|dent|damage)",
            "it came just as (shown|ordered|described)",
            "i (see|found) no (damage|dent|fault)",
        ],
        [
            "no (damage|crack|scratch) was there on arrival",
            "(it|the {item}) was not (broken|damaged) in transit",
            "it is in good shape without a (dent|fault)",
        ],
    ),
    "new": bank(
        "new",
        [
            "please (send|ship) me (another|a new) one",
            "i (want|would like) to (swap|exchange) (it|the {item})",
            "can i have (another|a new) {item}",
            "please (replace|exchange|swap) (it|the {item})",
            "i would (rather|like to) have (another|a new) {item}",
            "i (need|want) (another|a new) one",
            "a new one would (help|be great)",
            "(send|ship) a (new|fresh) {item} in return",
        ],
        [
            "what i (want|need) is a new {item}",
            "can i (swap|exchange|replace) the {item}",
            "another {item} in return would be great",
        ],
    ),
    "money": bank(
        "money",
        [
            "please (refund|return) (my|the) money",
            "i (want|would like) my money back",
            "please pay me back",
            "i (want|need) (a refund|my money)",
            "can i (get|have) (my|the) money back",
            "i would (rather|like to) have the money",
            "please put the (money|price) on my card",
            "i (do not want|need no) new one",
        ],
        [
            "what i (want|need) is my money",
            "can i get a refund on my card",
            "the money back would be great",
        ],
    ),
}

TURNED: dict[str, tuple[Wording, ...]] = {
    "opened": bank(
        "opened",
        [
            "(it|the {item}) is not (sealed|wrapped|closed) any more",
            "the (seal|wrapping|box) did not stay (intact|untouched|closed)",
            "(it|the {item}) does not sit in the box unused",
        ],
        kind="turned",
    ),
    "sealed": bank(
        "sealed",
        [
            "it is not so that i (opened|used|tried) (it|the {item})",
            "not once have i (opened|used|unpacked|tried) (it|the {item})",
            "without being (opened|used|tried) (it|the {item}) sits here",
        ],
        kind="turned",
    ),
    "damaged": bank(
        "damaged",
        [
            "(it|the {item}) did not come (in good shape|in one piece|as described|as shown)",
            "(it|the {item}) is not (fine|in perfect order|in good shape)",
            "nothing on (it|the {item}) works well",
        ],
        kind="turned",
    ),
    "sound": bank(
        "sound",
        [
            "(it|the {item}) was not (broken|cracked|dented|scratched|faulty)",
            "no part was (missing|broken|bent|wet)",
            "it is not so that (it|the {item}) came (broken|cracked|dented|scratched)",
        ],
        kind="turned",
    ),
    "new": bank(
        "new",
        [
            "i do not want (my money back|a refund|the money)",
            "rather than my money i (want|need) (another|a new) one",
            "please do not (refund|return) (my|the) money",
        ],
        kind="turned",
    ),
    "money": bank(
        "money",
        [
            "i do not want (another|a new) (one|{item})",
            "rather than (another|a new) one i (want|need) (a refund|my money)",
            "please do not (send|ship) (me another|a new) one",
        ],
        kind="turned",
    ),
}
"""The same meanings said by what is not so; no training text has them unless the knobs ask for them."""

CHATTER = bank(
    "chatter",
    [
        "(hello|hi|good morning)",
        "(hello|hi) there",
        "thanks",
        "it was a gift for my (sister|son)",
        "i changed my mind",
        "the colour is (wrong|not right)",
        "i (like|love) your shop",
        "it is not for me",
    ],
)

DISTRACTORS = bank(
    "distractor",
    [
        "a friend of mine got a broken one after {n} days",
        "my last order was {n} euros",
        "my sister opened hers and got {n} euros back",
        "your other shop took {n} days to send a new one",
        "my neighbour is a member since {n} days",
    ],
)
"""About other people's orders, with numbers and deciding words in them; never in training."""

_KINDS = {
    "electronics": ("camera", "laptop", "phone", "printer", "radio", "router", "speaker", "tablet"),
    "kitchen": ("kettle", "mug", "pan", "blender"),
    "clothing": ("jacket", "shirt", "hat"),
    "home": ("chair", "lamp", "mirror", "rug"),
}
_HELD_OUT_KINDS = {
    "electronics": ("drone", "headset", "monitor", "scanner"),
    "kitchen": ("grater", "toaster"),
    "clothing": ("coat", "scarf"),
    "home": ("stool", "vase"),
}

ITEMS = tuple((item, kind) for kind, items in _KINDS.items() for item in items)
HELD_OUT_ITEMS = tuple((item, kind) for kind, items in _HELD_OUT_KINDS.items() for item in items)
"""Items with their kind; electronics make up about four in ten."""
