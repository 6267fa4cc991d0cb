// Compiles the schemas named as arguments in Ajv's strict mode and validates the events
// on stdin, a JSON {name, type, data} a line. Prints what is wrong.
import { readFileSync } from 'node:fs'
import Ajv from 'ajv/dist/2020.js'
import formats from 'ajv-formats'

const ajv = new Ajv.default({ strict: true })
formats.default(ajv)
for (const file of process.argv.slice(1)) ajv.addSchema(JSON.parse(readFileSync(file, 'utf8')))
for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const { name, type, data } = JSON.parse(line)
  const validate = ajv.getSchema('urn:idtap:schema:' + type)
  if (!validate(data)) console.log(name, ajv.errorsText(validate.errors))
}
