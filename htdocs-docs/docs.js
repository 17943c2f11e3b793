/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws /openapi.json. Everything is put in as text, never as markup; nothing is fetched
 * but that one document, and nothing typed here leaves the page.
 */
'use strict';

const $ = (id) => document.getElementById(id);
const filled = { token: '', id: '' };
const curls = [];               // redrawn when a key is typed
let api;

/* el('p', {class: 'x'}, 'text', node, ...) */
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null && value !== false) {
      node.setAttribute(key, value === true ? '' : value);
    }
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const anchor = (text) => text.replace(/[^A-Za-z0-9._]+/g, '-').replace(/^-|-$/g, '');

function resolve(schema) {
  return schema && schema.$ref ? api.components.schemas[schema.$ref.split('/').pop()] : schema;
}

/* --- words for a schema --- */

function refName(schema) {
  return schema.$ref ? schema.$ref.split('/').pop() : null;
}

function isPage(schema) {
  return schema.properties && schema.properties.next && schema.properties.items;
}

function typeNode(schema) {
  if (!schema) {
    return document.createTextNode('anything');
  }
  const name = refName(schema);
  if (name) {
    return el('a', { href: '#schema-' + anchor(name) }, name);
  }
  if (isPage(schema)) {
    return el('span', {}, 'a page of ', typeNode(schema.properties.items.items));
  }
  const choice = schema.anyOf || schema.oneOf;
  if (choice) {
    const node = el('span');
    choice.forEach((one, i) => node.append(i ? ' or ' : '', typeNode(one)));
    return node;
  }
  if (schema.type === 'array' || (Array.isArray(schema.type) && schema.type.includes('array'))) {
    return el('span', {}, 'list of ', typeNode(schema.items));
  }
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : (schema.type || 'any');
  return document.createTextNode(schema.format ? `${type} (${schema.format})` : type);
}

function bounds(schema) {
  const words = [];
  const range = (low, high, unit) => {
    if (low !== undefined && high !== undefined) {
      words.push(low === high ? `${low}${unit}` : `${low} to ${high}${unit}`);
    } else if (high !== undefined) {
      words.push(`at most ${high}${unit}`);
    } else if (low !== undefined && low !== 0) {
      words.push(`at least ${low}${unit}`);
    }
  };
  range(schema.minLength, schema.maxLength, ' characters');
  range(schema.minimum, schema.maximum, '');
  range(schema.minItems, schema.maxItems, ' items');
  if (schema.enum) {
    words.push('one of ' + schema.enum.filter((value) => value !== null).join(', '));
  }
  if (schema.default !== undefined) {
    words.push('default ' + JSON.stringify(schema.default));
  }
  return words.join('; ');
}

function row(name, isNeeded, schema, sentence) {
  return el('tr', {},
    el('td', {}, el('code', {}, name), isNeeded ? el('span', { class: 'quiet' }, ' needed') : null),
    el('td', {}, typeNode(schema)),
    el('td', {}, sentence || (schema && schema.description) || '',
      el('div', { class: 'quiet' }, schema ? bounds(schema) : '')));
}

function table(rows) {
  return el('div', { class: 'scroll' }, el('table', {},
    el('thead', {}, el('tr', {}, ...['Name', 'Type', 'Meaning'].map((text) => el('th', { scope: 'col' }, text)))),
    el('tbody', {}, ...rows)));
}

function fieldsTable(schema) {
  const whole = resolve(schema) || {};
  const needed = whole.required || [];
  const rows = [];
  const add = (prefix, properties, required) => {
    for (const [name, inner] of Object.entries(properties || {})) {
      rows.push(row(prefix + name, required.includes(name), inner));
      if (inner.properties) {
        add(prefix + name + '.', inner.properties, inner.required || []);
      }
    }
  };
  add('', whole.properties, needed);
  return rows.length ? table(rows) : el('p', { class: 'quiet' }, 'An object of any members.');
}

/* --- code with a copy button --- */

function code(text) {
  const pre = el('pre', { tabindex: '0' }, text);
  const button = el('button', { type: 'button' }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(pre);
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  return { node: el('div', { class: 'code' }, pre, button), pre };
}

/* For a shell's single quotes. */
const quote = (text) => "'" + text.replace(/'/g, "'\\''") + "'";

function curlText(path, method, operation) {
  const words = ['curl'];
  const query = [];
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
  let filledPath = path;
  if (isLocal && location.protocol === 'https:') {
    words.push('-k');           // a server of build/run signs its own certificate
  }
  if (method !== 'get') {
    words.push('-X', method.toUpperCase());
  }
  for (const parameter of operation.parameters || []) {
    if (parameter.in === 'path') {
      filledPath = filledPath.replace(`{${parameter.name}}`,
        filled.id ? encodeURIComponent(filled.id) : '$' + parameter.name.toUpperCase());
    } else if (parameter.in === 'query' && (parameter.required || parameter.name === 'limit')) {
      query.push(parameter.name + '=' + (parameter.schema.default ?? 'test'));
    }
  }
  const url = location.origin + filledPath + (query.length ? '?' + query.join('&') : '');
  words.push(filled.id || !path.includes('{') ? quote(url) : '"' + url + '"');
  if (operation.security) {
    words.push('-H', filled.token ? quote('Authorization: Bearer ' + filled.token)
      : '"Authorization: Bearer $TOKEN"');
  }
  for (const parameter of operation.parameters || []) {
    if (parameter.in === 'header') {
      words.push('-H', `"${parameter.name}: $(openssl rand -hex 16)"`);
    }
  }
  const body = operation.requestBody && operation.requestBody.content['application/json'];
  if (body) {
    words.push('-H', quote('Content-Type: application/json'), '-d', quote(JSON.stringify(body.example)));
  }
  return words.join(' ');
}

/* --- the parts of the page --- */

function chips(operation) {
  const words = [];
  if (operation['x-roles']) {
    words.push('role: ' + operation['x-roles'].join(' or '));
  } else {
    words.push(operation.security ? 'signed in' : 'public');
  }
  words.push(operation['x-rate-class'] ? 'limit: ' + operation['x-rate-class'] : 'not limited');
  for (const alias of operation['x-aliases'] || []) {
    words.push('also ' + alias);
  }
  return el('ul', { class: 'chips' }, ...words.map((word) => el('li', {}, word)));
}

function errorList(status, response) {
  const cell = el('td', {});
  (response['x-codes'] || []).forEach((name, i) => {
    cell.append(i ? ', ' : '', el('a', { href: '#' + name }, name));
  });
  return el('tr', {}, el('td', {}, status), cell);
}

function operationCard(path, method, operation) {
  const id = operation.operationId;
  const parameters = operation.parameters || [];
  const body = operation.requestBody && operation.requestBody.content['application/json'];
  const card = el('section', { class: 'card', id, 'aria-labelledby': id + '-title',
    'data-find': `${method} ${path} ${operation.summary}`.toLowerCase() });
  card.append(
    el('h3', { id: id + '-title' },
      el('span', { class: 'verb ' + method }, method.toUpperCase()),
      el('span', { class: 'path' }, el('a', { href: '#' + id }, path))),
    el('p', {}, operation.summary), chips(operation));

  const line = code('');
  const draw = () => { line.pre.textContent = curlText(path, method, operation); };
  draw();
  curls.push(draw);
  card.append(line.node);

  if (parameters.length) {
    card.append(el('h4', {}, 'Parameters'), table(parameters.map((parameter) =>
      row(parameter.name, parameter.required, parameter.schema, `${parameter.description} (${parameter.in})`))));
  }
  if (body) {
    card.append(el('h4', {}, 'Body'), fieldsTable(body.schema));
  }
  const failures = [];
  for (const [status, response] of Object.entries(operation.responses)) {
    const media = response.content && (response.content['application/json'] || response.content['text/plain']);
    if (response['x-codes']) {
      failures.push(errorList(status, response));
      continue;
    }
    card.append(el('h4', {}, 'Answer ' + status));
    if (!media) {
      card.append(el('p', { class: 'quiet' }, 'No content.'));
    } else if (media.example !== undefined) {
      card.append(el('p', {}, typeNode(media.schema)), el('details', {},
        el('summary', {}, 'Example'), el('pre', { tabindex: '0' }, JSON.stringify(media.example, null, 2))));
    } else {
      card.append(el('p', { class: 'quiet' }, 'Plain text.'));
    }
  }
  card.append(el('details', {}, el('summary', {}, 'Refusals'), el('div', { class: 'scroll' }, el('table', {},
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Status'), el('th', { scope: 'col' }, 'Codes'))),
    el('tbody', {}, ...failures)))));
  return card;
}

function keys() {
  const field = (name, label, hint) => {
    const input = el('input', { id: 'key-' + name, autocomplete: 'off', spellcheck: 'false', placeholder: hint });
    input.addEventListener('input', () => {
      filled[name] = input.value.trim();
      curls.forEach((draw) => draw());
    });
    return el('label', { for: 'key-' + name }, label, input);
  };
  return el('div', { class: 'card' },
    el('p', {}, 'Each call below has a line to paste into a shell. Sign in first, and keep the token:'),
    code('TOKEN=$(' + curlText('/api/v1/auth/login', 'post',
      api.paths['/api/v1/auth/login'] ? api.paths['/api/v1/auth/login'].post : {})
      .replace(/^curl/, 'curl -s') + " | sed -E 's/.*\"accessToken\":\"([^\"]+)\".*/\\1/')").node,
    el('p', { class: 'quiet' }, 'Or fill these in; they stay in this page and go into the lines.'),
    el('div', { class: 'keys' },
      field('token', 'Access token', 'used as $TOKEN'),
      field('id', 'Id', 'used where a path has a {name}')));
}

function errorsTable() {
  return el('div', { class: 'card scroll' }, el('table', {},
    el('thead', {}, el('tr', {}, ...['Code', 'Status', 'Meaning'].map((text) => el('th', { scope: 'col' }, text)))),
    el('tbody', {}, ...api['x-errors'].map((error) => el('tr', { id: error.code,
      'data-find': `${error.code} ${error.status} ${error.title}`.toLowerCase() },
      el('td', {}, el('a', { href: '#' + error.code }, el('code', {}, error.code))),
      el('td', {}, String(error.status)), el('td', {}, error.title))))));
}

/* --- realtime --- */

const eventId = (way, event) => `event-${way}-${event.name.replace(/[^a-z]/g, '-')}`;

function eventCard(way, event) {
  const words = event.lane ? [`reaches: ${event.target}`, `lane: ${event.lane}`] : ['client to server'];
  const card = el('section', { class: 'card', id: eventId(way, event),
    'data-find': `event ${event.name} ${event.summary} ${words.join(' ')}`.toLowerCase() },
    el('h3', {}, el('span', { class: 'path' }, event.name)), el('p', {}, event.summary),
    el('p', { class: 'quiet' }, words.join(' - ')),
    el('h4', {}, 'Carries ', el('code', {}, refName(event.payload))), fieldsTable(event.payload));
  if (!event.lane) {
    card.append(...event.ack
      ? [el('h4', {}, 'Acknowledged with ok and ', el('code', {}, refName(event.ack))), fieldsTable(event.ack)]
      : [el('p', { class: 'quiet' }, 'Acknowledged with ok alone.')]);
  }
  return card;
}

/* How to come in, which no table says. */
function connecting() {
  const example = (text) => el('pre', { tabindex: '0' }, text);
  const ws = location.origin.replace(/^http/, 'ws');
  return el('section', { class: 'card', 'data-find': 'connecting socket.io websocket event stream token' },
    el('p', {}, 'With the official socket.io-client. A connection that was cut comes back by itself, and for some minutes with ' +
      'what it missed (socket.recovered); else enter the room again:'),
    example(`const socket = io(${JSON.stringify(location.origin)}, { auth: { token: ACCESS_TOKEN } });\n` +
      "socket.on('chat:new', (message) => show(message));\n" +
      "const room = await socket.emitWithAck('stream:join', { streamId: ID });\n" +
      "const said = await socket.emitWithAck('chat:new', { streamId: ID, text: 'hello', clientId: crypto.randomUUID() });"),
    el('p', {}, 'The same may reach a client twice: a message can be in the answer of stream:join and come as chat:new too, ' +
      'and what is asked for again by its offset can have been seen. The id of a message tells; show each once.'),
    el('p', {}, 'Without Socket.IO, over a WebSocket at ', el('code', {}, ws + '/api/v1/realtime'),
      '. The first line is not needed where a header has the token; offset and pid, when given, take up the connection before:'),
    example('> {"event":"auth","data":{"token":"..."}}\n' +
      '< {"event":"ready","data":{"sid":"...","pid":"...","epoch":"...","recovered":false}}\n' +
      '> {"event":"stream:join","data":{"streamId":"..."},"ack":1}\n' +
      '< {"ack":1,"ok":true,...}\n' +
      '< {"event":"chat:new","data":{...},"offset":"123"}'),
    el('p', {}, 'To listen to one room, as text/event-stream: ', el('code', {}, location.origin + '/api/v1/streams/{id}/events'),
      ' with the header Authorization, or the cookie of /auth/cookie. The first event is ready, with streamId, epoch, offset and ' +
      'recovered; Last-Event-ID, or lastEventId= in the address, goes on behind an event. Who listens counts as a viewer:'),
    example('curl -N -H "Authorization: Bearer $TOKEN" ' + location.origin + '/api/v1/streams/$ID/events\n' +
      '< id: 5d81fab152983263-77\n< event: ready\n< data: {"streamId":"...","epoch":"...","offset":"77","recovered":false}'),
    el('p', {}, 'Each event that can be recovered has an offset: the last argument of a Socket.IO event, offset of a plain one, ' +
      'and behind the epoch in the id of a stream. Counts and reactions have none: the next one replaces them.'),
    el('p', {}, 'What cannot be read is answered with ok false and no ack, and the connection ends. A WebSocket that we end has ' +
      'a code: 1002, 1007 or 1009 for what is no WebSocket, no UTF-8 or too large, 1012 the server restarts, 4001 signed out, ' +
      '4003 banned, 4008 read too slowly, 4009 sent too much, 4010 the room has ended, 4011 another connection took over. ' +
      'Do not come back by yourself after 4001, 4003 and 4010.'));
}

function drawEvents(main, nav) {
  main.append(el('h2', { id: 'connecting' }, 'Connecting'), connecting());
  nav.append(...navPart('Realtime', [{ href: '#connecting', text: 'Connecting' }]));
  const parts = [['sent', 'Events to clients', 'Who is connected to /socket.io/ is sent these. In each lane the order is ' +
    'kept; a reader that is slow loses metrics first, then reactions, never money or moderation. Nobody is sent what ' +
    'people say or give with whom there is a block, whoever made it: such a throne has no user, such viewers no name.'],
  ['taken', 'Events from clients', 'The ack is {"ok":true, ...} or {"ok":false,"error":{"code","status","detail",' +
    '"requestId"}} with a code of the table below; errors has an entry for each field that is not acceptable, as in ' +
    'problem documents, and retryAfter the seconds to wait, where there are any.']];
  for (const [way, title, sentence] of parts) {
    const events = api['x-events'][way];
    main.append(el('h2', { id: 'events-' + way }, title), el('p', {}, sentence),
      ...events.map((event) => eventCard(way, event)));
    nav.append(...navPart(title, events.map((event) => ({ href: '#' + eventId(way, event), text: event.name }))));
  }
}

function navPart(title, links) {
  return [el('h2', {}, title), el('ul', {}, ...links.map(({ href, verb, text }) => el('li', {},
    el('a', { href, 'data-find': `${verb || ''} ${text}`.toLowerCase() },
      verb ? el('span', { class: 'verb ' + verb }, verb === 'delete' ? 'DEL' : verb.toUpperCase()) : null,
      el('span', {}, text)))))];
}

function draw() {
  const main = $('main');
  const nav = $('nav');
  const groups = new Map(api.tags.map((tag) => [tag.name, []]));
  const short = (path) => path.replace('/api/v1', '');

  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      groups.get(operation.tags[0]).push({ path, method, operation });
    }
  }
  $('version').textContent = api.info.version;
  main.replaceChildren(el('h1', {}, api.info.title), el('p', {}, api.info.description, ' The same for programs: ',
    el('a', { href: '/openapi.json' }, '/openapi.json'), '.'),
    el('p', {}, 'Times are RFC 3339 in UTC, money whole minor units beside a currency. Lists answer {"items","next"}: ask again ' +
      'with after= what next holds, until it is null. Members that are not known here are ignored, so ignore those you do ' +
      'not know. A call that needs an Idempotency-Key, sent again with the same key and body, is answered as the first time.'),
    keys());
  nav.replaceChildren();
  for (const [tag, operations] of groups) {
    main.append(el('h2', { id: 'tag-' + anchor(tag) }, tag));
    operations.forEach(({ path, method, operation }) => main.append(operationCard(path, method, operation)));
    nav.append(...navPart(tag, operations.map(({ path, method, operation }) =>
      ({ href: '#' + operation.operationId, verb: method, text: short(path) }))));
  }
  drawEvents(main, nav);
  main.append(el('h2', { id: 'errors' }, 'Error codes'),
    el('p', {}, 'A refusal is ', el('code', {}, 'application/problem+json'), '; its ', el('code', {}, 'type'),
      ' leads to a row here. Programs compare ', el('code', {}, 'code'), ', which does not change.'), errorsTable());
  main.append(el('h2', { id: 'schemas' }, 'Schemas'));
  const schemas = Object.entries(api.components.schemas).sort(([a], [b]) => a.localeCompare(b));
  schemas.forEach(([name, schema]) => main.append(el('section', { class: 'card', id: 'schema-' + anchor(name),
    'data-find': name.toLowerCase() }, el('h3', {}, el('span', { class: 'path' }, name)),
    el('p', {}, schema.description || ''), fieldsTable(schema))));
  nav.append(...navPart('Reference', [{ href: '#errors', text: 'Error codes' }, { href: '#schemas', text: 'Schemas' }]));
}

/* --- moving about --- */

function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  document.querySelectorAll('[data-find]').forEach((node) => {
    node.hidden = !words.every((word) => node.dataset.find.includes(word));
  });
}

function showTarget(event) {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && $(id);
  if (target) {
    target.hidden = false;
    target.scrollIntoView({ behavior: event ? 'auto' : 'instant' });
  } else if (!id && location.pathname.endsWith('/errors')) {
    $('errors').scrollIntoView({ behavior: 'instant' });
  }
  document.querySelectorAll('nav a').forEach((link) => {
    if (link.getAttribute('href') === '#' + id) {
      link.setAttribute('aria-current', 'true');
    } else {
      link.removeAttribute('aria-current');
    }
  });
}

function openMenu(isOpen) {
  $('nav').classList.toggle('open', isOpen);
  $('menu').setAttribute('aria-expanded', String(isOpen));
}

async function start() {
  $('find').addEventListener('input', (event) => find(event.target.value));
  $('menu').addEventListener('click', () => openMenu(!$('nav').classList.contains('open')));
  $('nav').addEventListener('click', (event) => { if (event.target.closest('a')) { openMenu(false); } });
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      $('find').focus();
    } else if (event.key === 'Escape') {
      openMenu(false);
      $('find').value = '';
      find('');
    }
  });
  addEventListener('hashchange', showTarget);
  try {
    const answer = await fetch('/openapi.json');
    if (!answer.ok) {
      throw new Error(`the server answered ${answer.status}`);
    }
    api = await answer.json();
    draw();
    showTarget();
  } catch (problem) {
    $('state').textContent = `The description could not be loaded: ${problem.message}. Reload to try again.`;
  }
}

start();
