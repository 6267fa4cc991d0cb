# Opens one sealed event that its desk signed: {headers, subject, body, jwk, trust, by}
# on stdin, the data on stdout.
import base64
import hashlib
import json
import sys
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwcrypto import jwe, jwk
from jwcrypto.common import base64url_decode

m = json.load(sys.stdin)
h = m["headers"]


def check_signature(nkey, text, signature):  # raises InvalidSignature
    # A public nkey is base32 of its kind (1 byte), the Ed25519 key (32) and a checksum (2).
    key = Ed25519PublicKey.from_public_bytes(base64.b32decode(nkey)[1:33])
    key.verify(base64url_decode(signature), b"\xff" + text)


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# The list of the desks' keys is the administrator's: by is known from elsewhere.
end = m["trust"].rindex("signature ")
check_signature(m["by"], m["trust"][:end].encode(), m["trust"][end:].split()[2])

# Who sent it? What this message says and the digest of its body.
bound = [h["ce-id"], h["ce-type"], h["ce-source"], h["ce-sequence"], h["ce-epoch"], h["ce-time"], m["subject"]]
bound = json.dumps(bound, separators=(",", ":")).encode()
at = moment(h["ce-time"])
for desk, key, begin, until in (line.split() for line in m["trust"][:end].splitlines()[1:]):
    if (desk, key) == (h["ce-source"].split("/")[2], h.get("ce-signer")) and moment(begin) <= at and (until == "-" or at < moment(until)):
        break
else:
    sys.exit("not signed, or not by a key of the desk")
check_signature(key, b"idtap.event.v1\n" + bound + b"\n" + hashlib.sha256(m["body"].encode()).digest(), h["ce-signature"])

# The body belongs to this message and no other.
if base64url_decode(json.loads(m["body"])["aad"]) != bound:
    sys.exit("the sealed data belongs to another message")
token = jwe.JWE(algs=["ECDH-ES+A256KW", "A256GCM"])
token.deserialize(m["body"], jwk.JWK(**m["jwk"]))
sys.stdout.buffer.write(token.payload)
