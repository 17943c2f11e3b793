-- SPDX-License-Identifier: Apache-2.0
-- wrk: one gift with each request. Arguments: a prefix that no other run uses, the gift, and
-- the access tokens of those who give, in turn.
local prefix, body, tokens, n = "x", "", {}, 0
function init(args)
    prefix, body = args[1], '{"giftId":"' .. args[2] .. '","quantity":1}'
    for i = 3, #args do tokens[#tokens + 1] = "Bearer " .. args[i] end
end
function request()
    n = n + 1
    return wrk.format("POST", nil, { ["Content-Type"] = "application/json",
        ["Authorization"] = tokens[n % #tokens + 1],
        ["Idempotency-Key"] = prefix .. "-" .. n }, body)
end
