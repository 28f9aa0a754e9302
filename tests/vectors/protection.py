#!/usr/bin/env python3
"""Known answers of everything that protects values at rest, computed without Privet.

  tests/vectors/protection.py > tests/vectors/protection.json

It follows docs/cryptography.md and shares no code with src/. AES-256-GCM and HKDF come from
Python's `cryptography` (OpenSSL), HMAC from the standard library. Needs nothing of the network.
"""
import base64, hashlib, hmac, json, unicodedata

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


def lp(*parts):
    return b"".join(len(p).to_bytes(4, "big") + p for p in map(as_bytes, parts))


def as_bytes(part):
    return part.encode() if isinstance(part, str) else part


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def derive(key, *parts):
    return HKDFExpand(algorithm=hashes.SHA256(), length=32, info=lp(*parts)).derive(key)


def text(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def u32(number):
    return number.to_bytes(4, "big")


def kid_of(subject_key):
    return mac(subject_key, b"privet kid v1")[:16]


def envelope(subject_key, tenant, seal_as, kind, plain, random):
    kid = kid_of(subject_key)
    field_key = derive(subject_key, "privet/field/v1", tenant, seal_as)
    hedge_key = derive(subject_key, "privet/hedge/v1", tenant, seal_as)
    context = lp(tenant, seal_as, kind, kid)
    nonce = mac(hedge_key, lp(random, context, plain))[:12]
    sealed = AESGCM(field_key).encrypt(nonce, as_bytes(plain), context)
    return {
        "subject_key": subject_key.hex(), "kid": kid.hex(), "tenant": tenant, "seal_as": seal_as,
        "kind": kind, "plain": plain, "random": random.hex(), "field_key": field_key.hex(),
        "hedge_key": hedge_key.hex(), "nonce": nonce.hex(),
        "text": "pvt1_" + text(b"\x01\x01" + kid + nonce + sealed),
    }


def folded(value):
    lower = unicodedata.normalize("NFKC", value).upper().lower().replace("ς", "σ")
    return unicodedata.normalize("NFKC", lower)


def normal(form, value):
    if form == "exact":
        return value
    value = folded(value)
    if form in ("text", "email"):
        return " ".join(value.split())
    if form == "id":
        return "".join(c for c in value if c.isalpha() or c.isnumeric())
    trimmed = value.strip()
    digits = "".join(c for c in trimmed if c in "0123456789")
    if trimmed.startswith("00"):
        return "+" + digits[2:]
    return ("+" if trimmed.startswith("+") else "") + digits


def index(key, tenant, seal_as, form, length, value):
    normalised = normal(form, value)
    code = mac(key, lp("privet/bi/v1", tenant, seal_as, form + ".1", normalised))
    return {
        "index_key": key.hex(), "tenant": tenant, "seal_as": seal_as, "form": form,
        "bytes": length, "value": value, "normal": normalised, "text": "bi1_" + text(code[:length]),
    }


def wrapped(epoch_key, subject_key, tenant, domain, record, epoch, number, random):
    domain_key = derive(epoch_key, "privet/domain/v1", domain)
    cipher_key = derive(domain_key, "privet/seal/v1", "cipher")
    hedge_key = derive(domain_key, "privet/seal/v1", "hedge")
    kid, active = kid_of(subject_key), b"\x01"
    context = lp("privet/subject-key/v1", tenant, domain, record, u32(epoch), u32(number), active, kid)
    nonce = mac(hedge_key, lp(random, context, subject_key))[:12]
    sealed = nonce + AESGCM(cipher_key).encrypt(nonce, subject_key, context)
    return {
        "epoch_key": epoch_key.hex(), "domain_key": domain_key.hex(), "subject_key": subject_key.hex(),
        "tenant": tenant, "domain": domain, "record": record.hex(), "epoch": epoch, "number": number,
        "random": random.hex(), "kid": kid.hex(), "wrapped": sealed.hex(),
        # Version, suite, epoch, how many, and the one generation.
        "row": (b"\x01\x01" + u32(epoch) + b"\x01" + u32(number) + active + kid + sealed).hex(),
    }


def pseudonym(root, tenant, number, purpose, kind, value):
    key = derive(root, "privet/ps/v1", tenant, u32(number), purpose)
    return {
        "root": root.hex(), "tenant": tenant, "number": number, "purpose": purpose, "kind": kind,
        "value": value, "text": "ps1_" + text(mac(key, lp(kind, value))[:16]),
    }


def times(x, y):
    """The product in GF(2^128), bits in GCM's order."""
    product = 0
    for bit in range(127, -1, -1):
        if y >> bit & 1:
            product ^= x
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return product


def power(x, n):
    product = 1 << 127
    while n:
        product, x, n = (times(product, x) if n & 1 else product), times(x, x), n >> 1
    return product


def two_keys(first, second, tenant, seal_as, nonce):
    """One nonce, ciphertext and tag that open under the field keys of two people, each with the
    context of that person: AES-GCM does not commit to its key. One block of the ciphertext is
    chosen so that both tags are equal (Dodis, Grubbs, Ristenpart, Woodage 2018)."""
    def parts(key):
        cipher = Cipher(algorithms.AES(derive(key, "privet/field/v1", tenant, seal_as)), modes.ECB()).encryptor()
        block = lambda raw: int.from_bytes(cipher.update(raw), "big")
        context = lp(tenant, seal_as, "text", kid_of(key))
        padded = context + bytes(-len(context) % 16)
        h, hashed = block(bytes(16)), 0
        for at in range(0, len(padded), 16):
            hashed = times(hashed ^ int.from_bytes(padded[at:at + 16], "big"), h)
        lengths = len(context) * 8 << 64 | 16 * 8
        # tag = E(nonce ‖ 1) ^ (hashed ^ c) h² ^ lengths h
        rest = block(nonce + u32(1)) ^ times(hashed, power(h, 2)) ^ times(lengths, h)
        return power(h, 2), rest
    (square, rest), (other_square, other_rest) = parts(first), parts(second)
    chosen = times(rest ^ other_rest, power(square ^ other_square, 2**128 - 2))
    tag = rest ^ times(chosen, square)
    sealed = chosen.to_bytes(16, "big") + tag.to_bytes(16, "big")
    for key in (first, second):
        field_key = derive(key, "privet/field/v1", tenant, seal_as)
        AESGCM(field_key).decrypt(nonce, sealed, lp(tenant, seal_as, "text", kid_of(key)))
    return {"first": first.hex(), "second": second.hex(), "nonce_ciphertext_tag": (nonce + sealed).hex()}


def bytes_from(start, count=32):
    return bytes((start + n) % 256 for n in range(count))


PLACES = [("shop", "customer.email"), ("größe", "客户.电话")]
VALUES = [
    ("text", ["", "ana@mail.example", "Zoë \"quoted\" \\ 😀\n", "x" * 300]),
    ("number", ["0", "-12.50e+3", "123456789012345678901234567890"]),
    ("boolean", ["true", "false"]),
    ("json", ['{"street":"1 High St","tags":["a",null,1.0]}', "[]"]),
]
INDEXED = [
    ("text", ["Ana  María", " ana maría ", "Straße 7", "ΣΊΣΥΦΟΣ", "ﬁve", "Ａｎａ", "e\u0301te\u0301", ""]),
    ("email", ["Ana@Mail.example ", "ana@mail.example"]),
    ("phone", ["+44 7700 900-199", "0044 (7700) 900199", "07700 900199"]),
    ("id", ["ab 12-3", "AB123", "№ 7Б"]),
    ("exact", ["a ", "A", "e\u0301"]),
]

print(json.dumps({
    "made_by": "tests/vectors/protection.py",
    "envelopes": [
        envelope(bytes_from(n), *place, kind, plain, bytes_from(0xA0 + n, 16))
        for n, (place, kind, plain) in enumerate(
            (place, kind, plain) for place in PLACES for kind, plains in VALUES for plain in plains)
    ],
    "two_keys": two_keys(bytes_from(1), bytes_from(2), *PLACES[0], bytes_from(0, 12)),
    "indexes": [
        index(bytes_from(0x40), "shop", "customer." + form, form, length, value)
        for form, values in INDEXED for value in values for length in (2, 16, 32)
    ],
    "wrapped": [
        wrapped(bytes_from(0x60), bytes_from(7 * n), "shop", domain, bytes_from(0xC0), epoch, number, bytes_from(n, 16))
        for n, (domain, epoch, number) in enumerate([("person", 1, 1), ("employee", 1, 1), ("person", 70000, 1)])
    ],
    "pseudonyms": [
        pseudonym(bytes_from(0x80), "shop", 1, purpose, kind, value)
        for purpose in ("analytics", "marketing")
        for kind, value in [("person", "c-1002"), ("person", "7"), ("order", "7"), ("perso", "n7"), ("shop.customers:email", "ana@mail.example")]
    ],
}, indent=1, ensure_ascii=True))
