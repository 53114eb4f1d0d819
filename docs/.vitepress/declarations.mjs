import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** Declarations of the source as the reference shows them: signatures without bodies, and types with their comments. */

const rootDir = fileURLToPath(new URL('../../', import.meta.url))

/** Comments are wrapped at it: a code block of the site has room for about as much. */
const COMMENT_WIDTH = 80

/** A longer signature has each parameter on a line of its own. */
const MAX_WIDTH = 120

export function parse(file) {
  return ts.createSourceFile(file, readFileSync(rootDir + file, 'utf8'), ts.ScriptTarget.Latest, true)
}

/**
 * Public face of an interface, a type, a class or a function with all its overloads. A function's comment has only its tags (`@param`,
 * `@throws`), because the page describes the function.
 */
export function declarationOf(file, name) {
  return printDeclaration(file, name).replaceAll(/^( *)\/\*\*(.*?)\*\/$/gms, (_, indent, comment) => printComment(indent, comment))
}

function printDeclaration(file, name) {
  const source = parse(file)
  const found = source.statements.filter(statement => statement.name?.text === name)
  if (found.length === 0) throw new Error(`${file} has no ${name}.`)
  if (!found.every(ts.isFunctionDeclaration)) return found.map(printType).join('\n')
  const overloads = found.filter(({ body }) => !body)
  const signatures = (overloads.length > 0 ? overloads : found).map(one => `function ${signatureOf(one)}`)
  return [...tagsOf(found[0]), ...new Set(signatures)].join('\n')
}

function printType(statement) {
  if (ts.isClassDeclaration(statement)) return printClass(statement)
  // The overloads of a function.
  if (ts.isInterfaceDeclaration(statement) && statement.members.length > 0 && statement.members.every(ts.isCallSignatureDeclaration)) {
    return [`${commentOf(statement)}interface ${statement.name.text} {`, ...statement.members.map(member => `  ${signatureOf(member, '  ')}`), '}'].join('\n')
  }
  return commentOf(statement) + statement.getText().replace(/^export /, '')
}

function printClass(statement) {
  const heritage = statement.heritageClauses?.map(clause => ` ${clause.getText()}`).join('') ?? ''
  const isPublic = member => !ts.isPrivateIdentifier(member.name ?? member) && !member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword)
  const members = statement.members.filter(isPublic).map(member => `  ${commentOf(member)}${printMember(member)}`)
  return [`${commentOf(statement)}class ${statement.name.text}${typeParametersOf(statement)}${heritage} {`, ...members, '}'].join('\n')
}

function printMember(member) {
  if (!ts.isPropertyDeclaration(member)) return (ts.isGetAccessor(member) ? 'get ' : '') + signatureOf(member, '  ')
  const { type, initializer } = member
  // The value of a property without a type is its type.
  const end = type && initializer ? type.end : member.end
  // `declare` concerns the compiler alone.
  return member.getSourceFile().text.slice(member.getStart(), end).replace(/^declare /, '')
}

/** Signature without `export`, `async`, default values and the patterns that parameters are taken apart with. */
function signatureOf(node, indent = '') {
  const name = ts.isConstructorDeclaration(node) ? 'constructor' : node.name?.getText() ?? ''
  const parameters = node.parameters.filter(parameter => parameter.name.getText() !== 'this').map((parameter) => {
    const { name, type, questionToken, initializer, dotDotDotToken, modifiers } = parameter
    const readonly = modifiers?.length ? `${modifiers.map(modifier => modifier.getText()).join(' ')} ` : ''
    const optional = questionToken || initializer ? '?' : ''
    return `${readonly}${dotDotDotToken ? '...' : ''}${ts.isIdentifier(name) ? name.text : 'options'}${optional}: ${type?.getText() ?? typeOfValue(initializer)}`
  })
  const head = `${name}${typeParametersOf(node)}`
  const result = node.type ? `: ${node.type.getText()}` : ''
  const line = `${head}(${parameters.join(', ')})${result}`
  if (line.length <= MAX_WIDTH || parameters.length === 0) return line
  return [`${head}(`, ...parameters.map(parameter => `${indent}  ${parameter},`), `${indent})${result}`].join('\n')
}

/** A default value that is a named constant or a number. */
const typeOfValue = initializer => ts.isStringLiteralLike(initializer) ? 'string' : 'number'

function typeParametersOf({ typeParameters }) {
  return typeParameters ? `<${typeParameters.map(parameter => parameter.getText()).join(', ')}>` : ''
}

/** Comment of a declaration and the indentation of the line after it, or nothing. */
function commentOf(node) {
  const [comment] = ts.getJSDocCommentsAndTags(node)
  return comment ? node.getSourceFile().text.slice(comment.pos, node.getStart()) : ''
}

/** Comment with its paragraphs, list items and tags wrapped. Blocks of code stay as they are. */
function printComment(indent, comment) {
  const parts = []
  let isCode = false
  for (const line of comment.split('\n').map(one => one.replace(/^\s*\* ?/, '').trimEnd())) {
    const isFence = line.trim().startsWith('```')
    const starts = isCode || isFence || line === '' || /^(?:- |@)/.test(line) || ['', '```'].includes(parts.at(-1)?.trim() ?? '')
    if (starts) parts.push(line)
    else parts[parts.length - 1] += ` ${line.trim()}`
    if (isFence) isCode = !isCode
  }
  const trimmed = parts.join('\n').trim().split('\n')
  isCode = false
  const lines = trimmed.flatMap((part) => {
    if (part.trim().startsWith('```')) isCode = !isCode
    return isCode ? [part] : wrap(part, COMMENT_WIDTH - indent.length - 3)
  })
  if (lines.length === 1 && indent.length + lines[0].length + 7 <= COMMENT_WIDTH + 4) return `${indent}/** ${lines[0]} */`
  return [`${indent}/**`, ...lines.map(line => `${indent} * ${line}`.trimEnd()), `${indent} */`].join('\n')
}

function wrap(text, width) {
  const lines = ['']
  for (const word of text.trim().split(/ +/)) {
    if (lines.at(-1) && lines.at(-1).length + 1 + word.length > width) lines.push('')
    lines[lines.length - 1] += (lines.at(-1) && ' ') + word
  }
  return lines
}

function tagsOf(node) {
  const lines = ts.getJSDocTags(node).filter(tag => tag.parent && ts.isJSDoc(tag.parent)).flatMap((tag) => {
    const text = tag.getText().trimEnd().replace(/\s*\*\/$/, '')
    return text.split('\n').map(line => line.replace(/^\s*\* ?/, '').trimEnd()).filter(Boolean)
  })
  if (lines.length === 0) return []
  return lines.length === 1 ? [`/** ${lines[0]} */`] : ['/**', ...lines.map(line => ` * ${line}`), ' */']
}
