// Opens one sealed event that its desk signed: {headers, subject, body, jwk, trust, by}
// on stdin, the data on stdout.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { generalDecrypt, importJWK } from 'jose'

const { headers: h, subject, body, jwk, trust, by } = JSON.parse(readFileSync(0, 'utf8'))
const jwe = JSON.parse(body)

function refuse(why) {
  console.error(why)
  process.exit(3)
}

// A public nkey is base32 of its kind (1 byte), the Ed25519 key (32) and a checksum (2).
function nkey(text) {
  const bits = [...text].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const raw = Buffer.from(bits.match(/.{8}/g).slice(1, 33).map((b) => parseInt(b, 2)))
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })
}

const signedBy = (key, bytes, signature) =>
  verify(null, Buffer.concat([Buffer.from([0xff]), bytes]), nkey(key), Buffer.from(signature, 'base64url'))

// The list of the desks' keys is the administrator's: by is known from elsewhere.
const end = trust.lastIndexOf('signature ')
if (!signedBy(by, Buffer.from(trust.slice(0, end)), trust.slice(end).trim().split(' ')[2])) refuse('the trust list is not signed by ' + by)

// Who sent it? What this message says and the digest of its body.
const bound = JSON.stringify([h['ce-id'], h['ce-type'], h['ce-source'], h['ce-sequence'], h['ce-epoch'], h['ce-time'], subject])
const at = Date.parse(h['ce-time'])
const listed = trust.slice(0, end).trim().split('\n').slice(1).map((line) => line.split(' ')).some(([desk, key, from, to]) =>
  desk === h['ce-source'].split('/')[2] && key === h['ce-signer'] && Date.parse(from) <= at && (to === '-' || at < Date.parse(to)))
if (!listed) refuse('not signed, or not by a key of the desk')
const digest = createHash('sha256').update(body).digest()
if (!signedBy(h['ce-signer'], Buffer.concat([Buffer.from(`idtap.event.v1\n${bound}\n`), digest]), h['ce-signature'])) refuse('wrong signature')

// The body belongs to this message and no other.
if (Buffer.from(jwe.aad, 'base64url').toString() !== bound) refuse('the sealed data belongs to another message')
const key = await importJWK(jwk, 'ECDH-ES+A256KW')
const { plaintext } = await generalDecrypt(jwe, key, {
  keyManagementAlgorithms: ['ECDH-ES+A256KW'], contentEncryptionAlgorithms: ['A256GCM'],
})
process.stdout.write(plaintext)
