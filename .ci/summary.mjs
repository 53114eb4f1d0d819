// The last line of a CI run: `N passed, N failed`, from the runner's own report. A file that could not run is a failure.
import { readFileSync } from 'node:fs'
import process from 'node:process'

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const brokenFiles = testResults.filter(file => file.status === 'failed' && file.assertionResults.every(test => test.status !== 'failed'))
console.log(`${numPassedTests} passed, ${numFailedTests + brokenFiles.length} failed`)
