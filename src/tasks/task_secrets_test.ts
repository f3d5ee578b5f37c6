import assert from "node:assert/strict";
import { looksSecret, secretsOf } from "./task_secrets.ts";

Deno.test("names that say secret", () => {
  const names = `API_KEY apiKey APIKey APIKEY api-key awsSecretAccessKey AWS_ACCESS_KEY_ID KEY KEYS
    key2 S3_KEY1 TOKEN token githubToken GITHUB_TOKEN AUTHTOKEN TOKENS CI_JOB_TOKEN_2 SECRET
    CLIENT_SECRETS clientSecret PASSWORD db.password PGPASSWORD MYSQL_PWD dbPwd PASSWD SSHPASS
    DB_PASS BORG_PASSPHRASE AWS_CREDENTIALS CREDENTIAL AUTH BASIC_AUTH OAUTH authHeader OAuthToken
    PRIVATE SSH_PRIVATE_KEY privateKey GITHUB_PAT _TOKEN TOKEN_ ENCRYPTIONKEY SIGNINGKEYS MASTERKEY
    STRIPEKEY HMACKEY RSAKEY SNAPSHOTKEY DBPASS PGPASS ROOTPWD CRED CREDS DBCREDS COOKIE COOKIES
    SESSIONCOOKIE AUTHORIZATION PROXYAUTHORIZATION BEARER JWT PASSCODE SECRETVALUE TOKENVALUE
    PASSWORDHASH SECRETARYTOKEN MONKEY_KEY OTP OTP_CODE LOGIN_OTP TOTP passphrase
    GPG_PASSPHRASE`;
  for (const name of names.split(/\s+/)) assert(looksSecret(name), name);
});

Deno.test("names that do not", () => {
  const names = `KEYBOARD MONKEY monkeyBusiness AUTHOR AUTHORS GIT_AUTHOR_NAME HOTKEY TURKEY
    KEYCLOAK_URL PATH PATTERN PWD OLDPWD COMPASS BYPASS PASSENGER SECRETARY PASSWORDLESS TOKENIZER
    PRIVATEER TOKENIZERS_PARALLELISM HOTKEYS DONKEY HOCKEY JOCKEY WHISKEY ENCOMPASS TRESPASS
    SSH_ASKPASS SACRED COOKIECUTTER FOOTPRINT OPTION LAPTOP PAGER HOME USER LANG A _ 1`;
  for (const name of names.split(/\s+/)) assert(!looksSecret(name), name);
});

Deno.test("the secrets of a payload are its environment's, whatever else it is", () => {
  const environment = { API_KEY: "k-123456", PIN_SECRET: 123456, HOME: "/root", TOKEN: null };
  assert.deepEqual(secretsOf({ command: "x", environment }), ["k-123456", "123456"]);
  for (const payload of [undefined, null, 5, "x", [], {}, { environment: null }]) {
    assert.deepEqual(secretsOf(payload), []);
  }
  assert.deepEqual(secretsOf({ environment: ["TOKEN"] }), []);
});
