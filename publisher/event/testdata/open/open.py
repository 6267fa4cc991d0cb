# Opens one sealed event: {headers, subject, body, jwk} on stdin, the data on stdout.
import json
import sys

from jwcrypto import jwe, jwk
from jwcrypto.common import base64url_decode

m = json.load(sys.stdin)
h = m["headers"]

# The body belongs to this message and no other: rebuild what it was bound to.
bound = [h["ce-id"], h["ce-type"], h["ce-source"], h["ce-sequence"], h["ce-epoch"], h["ce-time"], m["subject"]]
if base64url_decode(json.loads(m["body"])["aad"]) != json.dumps(bound, separators=(",", ":")).encode():
    sys.exit("the sealed data belongs to another message")

token = jwe.JWE(algs=["ECDH-ES+A256KW", "A256GCM"])
token.deserialize(m["body"], jwk.JWK(**m["jwk"]))
sys.stdout.buffer.write(token.payload)
