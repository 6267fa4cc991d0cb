// Opens one sealed event: {headers, subject, body, jwk} on stdin, the data on stdout.
import { readFileSync } from 'node:fs'
import { generalDecrypt, importJWK } from 'jose'

const { headers: h, subject, body, jwk } = JSON.parse(readFileSync(0, 'utf8'))
const jwe = JSON.parse(body)

// The body belongs to this message and no other: rebuild what it was bound to.
const bound = JSON.stringify([h['ce-id'], h['ce-type'], h['ce-source'], h['ce-sequence'], h['ce-epoch'], h['ce-time'], subject])
if (Buffer.from(jwe.aad, 'base64url').toString() !== bound) {
  console.error('the sealed data belongs to another message')
  process.exit(3)
}
const key = await importJWK(jwk, 'ECDH-ES+A256KW')
const { plaintext } = await generalDecrypt(jwe, key, {
  keyManagementAlgorithms: ['ECDH-ES+A256KW'], contentEncryptionAlgorithms: ['A256GCM'],
})
process.stdout.write(plaintext)
