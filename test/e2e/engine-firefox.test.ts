import { testEngine } from '../support/engine-suite'

testEngine({ name: 'firefox', keepsPages: false, downloadEndsRequests: true, changesHeaders: false, canGoOffline: true })
