import { testEngine } from '../support/engine-suite'

testEngine({ name: 'webkit', keepsPages: true, downloadEndsRequests: true, changesHeaders: true, canGoOffline: false })
