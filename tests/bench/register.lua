-- SPDX-License-Identifier: Apache-2.0
-- wrk: a new account with each request. Argument: a prefix that no other run uses.
local prefix, n = "x", 0
function init(args) prefix = args[1] end
function request()
    n = n + 1
    local name = prefix .. "n" .. n
    return wrk.format("POST", nil, { ["Content-Type"] = "application/json" },
        '{"email":"' .. name .. '@example.com","username":"' .. name ..
        '","password":"Correct-Horse-9"}')
end
