import { testChat } from '../support/chat-suite'

testChat('webkit')
