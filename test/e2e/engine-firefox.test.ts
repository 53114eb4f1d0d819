import { testEngine } from '../support/engine-suite'

testEngine({ name: 'firefox', keepsPages: false, downloadEndsRequests: true, canGoOffline: true })
