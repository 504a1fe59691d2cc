//! Who speaks. People: the prompts that Debian packages for Asterisk. Machines: espeak-ng and flite.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SOUNDS: &str = "/usr/share/asterisk/sounds";
/// A clip that is shorter says nothing: a quarter of a second.
const CLIP_SAMPLES_MIN: usize = 2000;

/// One voice.
pub(crate) struct Speaker {
    pub(crate) name: String,
    source: Source,
}

enum Source {
    /// Prompts of a person.
    Prompts(PathBuf),
    /// A voice of espeak-ng, with its pitch (0 to 99, 50 is usual), and its language.
    Espeak { voice: String, pitch: u8 },
    /// A voice of flite; English.
    Flite(String),
}

/// The people, by Debian's folders: packages `asterisk-core-sounds-{en,es,fr,it,ru}-wav`, `asterisk-prompt-it-menardi-wav`,
/// `asterisk-prompt-fr-armelle`, `asterisk-prompt-es-co`. Those that are not installed are not there.
pub(crate) fn humans() -> Vec<Speaker> {
    let names = [
        "en_US_f_Allison",
        "es_MX_f_Allison",
        "fr_CA_f_June",
        "it_IT_m_Carlo",
        "it_IT_f_Menardi",
        "ru_RU_f_IvrvoiceRU",
        "fr",
        "es",
    ];
    let folders = names.map(|name| (name, Path::new(SOUNDS).join(name)));
    let there = folders.into_iter().filter(|(_, folder)| folder.is_dir());
    there.map(|(name, folder)| Speaker { name: name.to_owned(), source: Source::Prompts(folder) }).collect()
}

/// A voice of espeak-ng.
pub(crate) fn espeak(voice: &str, pitch: u8) -> Speaker {
    let source = Source::Espeak { voice: voice.to_owned(), pitch };
    Speaker { name: format!("espeak {voice} {pitch}"), source }
}

/// A voice of flite: `awb`, `rms`, `slt`, `kal16`.
pub(crate) fn flite(voice: &str) -> Speaker {
    Speaker { name: format!("flite {voice}"), source: Source::Flite(voice.to_owned()) }
}

impl Speaker {
    /// Everything it says, clip by clip, 8 kHz on the scale of 16-bit samples. Machines read a text of their language.
    pub(crate) fn clips(&self) -> anyhow::Result<Vec<Vec<f64>>> {
        let clips = match &self.source {
            Source::Prompts(folder) => prompts(folder)?,
            Source::Espeak { voice, pitch } => read_aloud(voice, |text| {
                let mut command = Command::new("espeak-ng");
                command.args(["-v", voice, "-p", &pitch.to_string(), "-s", "150", "--stdout", text]);
                command
            })?,
            Source::Flite(voice) => read_aloud("en", |text| {
                let mut command = Command::new("flite");
                command.args(["-voice", voice, "-t", text, "-o", "/dev/stdout"]);
                command
            })?,
        };
        Ok(clips.into_iter().filter(|clip| clip.len() >= CLIP_SAMPLES_MIN).collect())
    }
}

/// Prompts that are a signal or a noise and no voice.
const VOICELESS: [&str; 10] = [
    "ascending-2tone",
    "beep",
    "beeperr",
    "confbridge-join",
    "confbridge-leave",
    "confbridge-leave-in",
    "confbridge-leave-out",
    "descending-2tone",
    "silence",
    "tt-monkeys",
];

/// All prompts below a folder, in the order of their names.
fn prompts(folder: &Path) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.file_stem().is_some_and(|name| VOICELESS.iter().any(|voiceless| name == *voiceless)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().filter_map(|file| prompt(file).transpose()).collect()
}

fn prompt(file: &Path) -> anyhow::Result<Option<Vec<f64>>> {
    let bytes = match file.extension().and_then(|kind| kind.to_str()) {
        Some("wav") => std::fs::read(file)?,
        Some("gsm") => sox(&["-t", "gsm", &file.to_string_lossy()], &[])?,
        _ => return Ok(None),
    };
    let sound = media::wav::parse(&bytes).with_context(|| file.display().to_string())?;
    Ok(sound.channels.into_iter().next().map(|samples| samples.into_iter().map(f64::from).collect()))
}

/// Sound of any kind as a WAV file of 8 kHz, 16 bits, mono.
pub(crate) fn sox(input: &[&str], standard_input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new("sox");
    // Without dither, which is another one each time.
    command.arg("-D").args(input).args(["-r", "8000", "-b", "16", "-e", "signed", "-c", "1", "-t", "wav", "-"]);
    let wav = piped(&mut command, standard_input)?;
    Ok(mend(wav))
}

/// Raw 16-bit samples of one rate as such of another.
pub(crate) fn sox_raw(input: &[u8], from: usize, to: usize) -> anyhow::Result<Vec<u8>> {
    let raw = |rate: usize| {
        ["-t", "raw", "-e", "signed", "-b", "16", "-L", "-c", "1", "-r"]
            .map(str::to_owned)
            .into_iter()
            .chain([rate.to_string()])
    };
    let mut command = Command::new("sox");
    command.arg("-D").args(raw(from)).arg("-").args(raw(to)).arg("-");
    piped(&mut command, input)
}

/// sox cannot know the length of what it writes to a pipe.
fn mend(mut wav: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(wav.len().saturating_sub(44)).unwrap_or_default();
    if let Some(data) = wav.get_mut(40..44) {
        data.copy_from_slice(&length.to_le_bytes());
    }
    wav
}

fn read_aloud(language: &str, reader: impl Fn(&str) -> Command) -> anyhow::Result<Vec<Vec<f64>>> {
    let text = TEXTS.iter().find(|(start, _)| language.starts_with(start)).map_or(TEXTS[0].1, |(_, text)| text);
    let say = |sentence: &str| {
        let sound = piped(&mut reader(sentence), &[])?;
        let wav = sox(&["-t", "wav", "--ignore-length", "-"], &sound)?;
        let sound = media::wav::parse(&wav).context("what was read aloud")?;
        Ok(sound.channels.into_iter().next().unwrap_or_default().into_iter().map(f64::from).collect())
    };
    text.split(". ").map(say).collect()
}

/// Runs a program; gives what it wrote.
pub(crate) fn piped(command: &mut Command, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("{shown} cannot be started; is it installed?"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_vec();
    // It may not read what it does not need.
    let feeder = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let output = child.wait_with_output()?;
    let _ = feeder.join();
    if !output.status.success() {
        bail!("{shown} failed ({})", output.status);
    }
    Ok(output.stdout)
}

/// What machines read, by language: everyday sentences of our own, with numbers, as callers say them.
const TEXTS: [(&str, &str); 6] = [
    (
        "en",
        "Good morning, I would like to pay my bill, please. Hold on, I need to find my card first, it is somewhere in this bag. \
         My account number is on the letter that you sent me last week. Could you tell me how much is still open. \
         Yes, forty two pounds and eighty pence, that sounds right. The name on the card is my husband's, is that a problem. \
         I moved house in August, so the address may be an old one. Sorry, the line is a little bad today, could you say that again. \
         All right, I am typing it in now. Oh no, I think I pressed the wrong key. Shall I start again from the beginning. \
         The expiry date is on the front, and the code is on the back, I suppose. We have been with you for almost eleven years. \
         Can you send me a receipt by email as well. My daughter usually does this for me on the computer. \
         There you are, that was the last one. Thank you very much for your help, and have a lovely weekend. \
         The weather here has been dreadful, rain since Monday morning. Would it be possible to pay the rest in three months. \
         I remember that the previous agent gave me a reference with a letter at the end. No, I have never had any trouble with it before. \
         What happens if the payment does not go through. Then I would rather wait until Thursday, when my salary has arrived",
    ),
    (
        "de",
        "Guten Morgen, ich möchte gern meine Rechnung bezahlen. Einen Augenblick, ich muss erst meine Karte suchen. \
         Meine Kundennummer steht auf dem Brief von letzter Woche. Können Sie mir sagen, wie viel noch offen ist. \
         Ja, zweiundvierzig Euro und achtzig Cent, das stimmt. Auf der Karte steht der Name meines Mannes. \
         Wir sind im August umgezogen, vielleicht haben Sie noch die alte Adresse. Die Verbindung ist heute schlecht, bitte noch einmal. \
         Gut, ich tippe es jetzt ein. Oh, ich glaube, ich habe die falsche Taste gedrückt. Soll ich noch einmal von vorn anfangen. \
         Das Datum steht vorn, die Prüfziffer hinten. Können Sie mir auch eine Quittung schicken. Vielen Dank für Ihre Hilfe und ein schönes Wochenende",
    ),
    (
        "fr",
        "Bonjour, je voudrais régler ma facture, s'il vous plaît. Un instant, je cherche ma carte dans mon sac. \
         Mon numéro de client est sur la lettre de la semaine dernière. Pouvez-vous me dire combien il reste à payer. \
         Oui, quarante-deux euros et quatre-vingts centimes, c'est exact. Le nom sur la carte est celui de mon mari. \
         Nous avons déménagé au mois d'août, l'adresse est peut-être ancienne. La ligne est mauvaise aujourd'hui, répétez, je vous prie. \
         D'accord, je tape le numéro maintenant. Oh, je crois que je me suis trompée de touche. Faut-il recommencer depuis le début. \
         La date est devant et le code est derrière. Envoyez-moi aussi un reçu. Merci beaucoup et bon week-end",
    ),
    (
        "es",
        "Buenos días, quisiera pagar mi factura, por favor. Un momento, tengo que buscar la tarjeta en el bolso. \
         Mi número de cliente está en la carta de la semana pasada. Puede decirme cuánto queda por pagar. \
         Sí, cuarenta y dos euros con ochenta, es correcto. El nombre de la tarjeta es el de mi marido. \
         Nos mudamos en agosto, quizá la dirección sea la antigua. Hoy se oye mal la línea, puede repetir. \
         Muy bien, lo estoy marcando ahora. Ay, creo que pulsé una tecla equivocada. Empiezo otra vez desde el principio. \
         La fecha está delante y el código detrás. Mándeme también un recibo. Muchas gracias y buen fin de semana",
    ),
    (
        "it",
        "Buongiorno, vorrei pagare la mia bolletta, per favore. Un attimo, devo cercare la carta nella borsa. \
         Il mio codice cliente è sulla lettera della settimana scorsa. Può dirmi quanto resta da pagare. \
         Sì, quarantadue euro e ottanta centesimi, è giusto. Sulla carta c'è il nome di mio marito. \
         Abbiamo traslocato in agosto, forse l'indirizzo è ancora quello vecchio. Oggi la linea è disturbata, può ripetere. \
         Va bene, lo sto digitando adesso. Oh, credo di aver premuto il tasto sbagliato. Devo ricominciare da capo. \
         La data è davanti e il codice è dietro. Mi mandi anche una ricevuta. Grazie mille e buon fine settimana",
    ),
    (
        "ru",
        "Доброе утро, я хотела бы оплатить счёт. Одну минуту, мне нужно найти карту в сумке. \
         Номер договора указан в письме за прошлую неделю. Скажите, пожалуйста, сколько осталось заплатить. \
         Да, сорок два рубля восемьдесят копеек, верно. На карте имя моего мужа. \
         Мы переехали в августе, возможно, у вас старый адрес. Сегодня плохая связь, повторите, пожалуйста. \
         Хорошо, я сейчас набираю номер. Ой, кажется, я нажала не ту кнопку. Начать сначала. \
         Дата спереди, а код сзади. Пришлите мне и чек. Большое спасибо и хороших выходных",
    ),
];
