import type { Row } from '../lib/row.ts'
import { fanOut } from './fan-out.ts'

export const rows: Row[] = [fanOut]
