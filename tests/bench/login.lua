-- SPDX-License-Identifier: Apache-2.0
-- wrk: sign in again and again, each connection's turn another account.
-- Arguments: prefix of the accounts (NAME0@example.com ...), how many, password.
local prefix, accounts, password, n = "x", 1, "", 0
function init(args) prefix, accounts, password = args[1], tonumber(args[2]), args[3] end
function request()
    n = n + 1
    return wrk.format("POST", nil, { ["Content-Type"] = "application/json" },
        '{"email":"' .. prefix .. (n % accounts) .. '@example.com","password":"' .. password .. '"}')
end
