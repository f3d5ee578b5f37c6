import assert from "node:assert/strict";
import { SecretMask } from "../logs/secret_mask.ts";
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

/** What logs show of a value when a program prints it. */
function shown(name: string, value: string, printed = value): string {
  return new SecretMask(secretsOf({ environment: { [name]: value } })).apply(printed);
}

Deno.test("of URLs and connection strings the password alone is masked", () => {
  for (
    const [value, expected] of [
      ["postgres://me:hunter22@db:5432/app?a=b", "postgres://me:***@db:5432/app?a=b"],
      ["redis://:hunter22@cache/0", "redis://:***@cache/0"],
      ["amqps://me:p%40ss%2Fword@mq/%2f", "amqps://me:***@mq/%2f"],
      ["mongodb+srv://me:hunter22@a,b,c/app", "mongodb+srv://me:***@a,b,c/app"],
      ["amqp://a:first22@h1,amqp://b:second22@h2", "amqp://a:***@h1,amqp://b:***@h2"],
      ["postgres://me:p@ss22word@db/app", "postgres://me:***@db/app"],
      ["mysql://me:p/ss?22#word@db/app", "mysql://me:***@db/app"],
      [
        "jdbc:postgresql://db/app?user=me&password=hunter22",
        "jdbc:postgresql://db/app?user=me&password=***",
      ],
      [
        "https://host/x?sig=1&access_token=hunter22&b=c",
        "https://host/x?sig=1&access_token=***&b=c",
      ],
      ["https://ghp_0123456789abcdef@github.com/x.git", "https://***@github.com/x.git"],
      [
        "Server=db;User Id=me;Password=hunter22;Encrypt=True",
        "Server=db;User Id=me;Password=***;Encrypt=True",
      ],
      ["Server=db;Uid=me;PWD=hunter22", "Server=db;Uid=me;PWD=***"],
      ['Server=db;Password="hunt;er22";X=1', "Server=db;Password=***;X=1"],
      [
        "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=abcdefgh==",
        "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=***",
      ],
      [
        "AccountName=x;AccountKey=abc+def/22==;EndpointSuffix=y",
        "AccountName=x;AccountKey=***;EndpointSuffix=y",
      ],
      ["host=db user=me password=hunter22 dbname=app", "host=db user=me password=*** dbname=app"],
      [String.raw`host=db password='hu\'nter 22' dbname=app`, "host=db password=*** dbname=app"],
      [
        "https://host:8080/path?email=me@example.com",
        "https://host:8080/path?email=me@example.com",
      ],
      ["https://me@example.com/", "https://me@example.com/"],
      ["rs=0:di=01;34:ln=01;36", "rs=0:di=01;34:ln=01;36"],
    ] as const
  ) {
    for (const name of ["DATABASE_URL", "SOME_DSN", "X"]) {
      assert.equal(shown(name, value), expected);
    }
  }
});

Deno.test("a password is masked as it is there and decoded, by itself too", () => {
  const value = "amqps://me:p%40ss%2fword@mq/";
  for (const form of ["p%40ss%2fword", "p@ss/word", "p%40ss%2Fword"]) {
    assert.equal(shown("AMQP_URL", value, `<${form}>`), "<***>", form);
  }
  const quoted = String.raw`password='hu\'nter 22'`;
  assert.equal(shown("DB_CONNECTION_STRING", quoted, "hu'nter 22"), "***");
  assert.equal(shown("DB", 'Password="a""bcd";', 'a"bcd'), "***");
  assert.equal(shown("DB", "Password={a;bcd};", "a;bcd"), "***");
  assert.equal(shown("BROKEN_URL", "redis://:100%@h", "100%"), "***");
});

Deno.test("of a webhook's address the path is secret, of another address it is not", () => {
  const value = "https://hooks.example.com/services/T00/B00/abcdefghijklmnopqrst?x=1";
  for (const name of ["SLACK_WEBHOOK", "WEBHOOK_URL", "slackWebhookUrl", "WEB_HOOK"]) {
    assert.equal(shown(name, value), "https://hooks.example.com/***", name);
    assert.equal(shown(name, value, "POST /services/T00/B00/abcdefghijklmnopqrst"), "POST /***");
    assert.equal(shown(name, value, "abcdefghijklmnopqrst: 404"), "***: 404");
  }
  assert.equal(shown("SITE_URL", value), value);
  assert.equal(shown("WEBHOOK_ENABLED", "maybe", "maybe"), "maybe");
});

Deno.test("what only looks like a connection takes no time", () => {
  const startMs = performance.now();
  for (const unit of ["a://", "a:b@", "a = ", "x://y:", "a;b=", "' \\", '= ""', "a b "]) {
    shown("X_URL", unit.repeat(30_000 / unit.length));
  }
  assert(performance.now() - startMs < 10_000);
});
