import { testEngine } from '../support/engine-suite'

testEngine({ name: 'chromium', keepsPages: true, downloadEndsRequests: false, changesHeaders: false, canGoOffline: true })
