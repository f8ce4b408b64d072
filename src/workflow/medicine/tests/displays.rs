//! Displays in the style of RxNorm and as people write them, each read by hand: substance, strength, form, route.

use super::{tables, told};
use crate::workflow::medicine::read;

/// (display, as read).
const DISPLAYS: &[(&str, &str)] = &[
    // One substance, one piece.
    ("lisinopril 10 MG Oral Tablet", "lisinopril 10 mg; tablet; oral"),
    ("Lisinopril 20 MG Oral Tablet [Zestril]", "lisinopril 20 mg; tablet; oral"),
    ("amlodipine besylate 5 MG Oral Tablet", "amlodipine 5 mg; tablet; oral"),
    ("metformin hydrochloride 500 MG Oral Tablet", "metformin 500 mg; tablet; oral"),
    ("levothyroxine sodium 0.075 MG Oral Tablet", "levothyroxine 0.075 mg; tablet; oral"),
    ("warfarin sodium 2.5 MG Oral Tablet [Coumadin]", "warfarin 2.5 mg; tablet; oral"),
    ("digoxin 0.125 MG Oral Tablet", "digoxin 0.125 mg; tablet; oral"),
    ("gabapentin 300 MG Oral Capsule", "gabapentin 300 mg; capsule; oral"),
    ("tamsulosin hydrochloride 0.4 MG Oral Capsule", "tamsulosin 0.4 mg; capsule; oral"),
    ("predniSONE 5 MG Oral Tablet", "prednisone 5 mg; tablet; oral"),
    ("apixaban 5 MG Oral Tablet [Eliquis]", "apixaban 5 mg; tablet; oral"),
    ("ferrous sulfate 325 MG Oral Tablet", "ferrous sulfate 325 mg; tablet; oral"),
    ("lithium carbonate 300 MG Oral Capsule", "lithium carbonate 300 mg; capsule; oral"),
    ("calcium carbonate 500 MG Chewable Tablet", "calcium carbonate 500 mg; chewable tablet; oral"),
    ("sodium bicarbonate 650 MG Oral Tablet", "sodium bicarbonate 650 mg; tablet; oral"),
    ("penicillin V potassium 500 MG Oral Tablet", "penicillin v 500 mg; tablet; oral"),
    ("losartan potassium 50 MG Oral Tablet", "losartan 50 mg; tablet; oral"),
    ("alendronic acid 70 MG Oral Tablet", "alendronate 70 mg; tablet; oral"),
    ("clopidogrel 75 MG Oral Tablet", "clopidogrel 75 mg; tablet; oral"),
    ("donepezil hydrochloride 23 MG Oral Tablet [Aricept]", "donepezil 23 mg; tablet; oral"),
    ("folic acid 1 MG Oral Tablet", "folic acid 1 mg; tablet; oral"),
    ("cholecalciferol 1000 UNT Oral Capsule", "cholecalciferol 1000 units; capsule; oral"),
    ("Vitamin D3 1,000 UNT Oral Tablet", "cholecalciferol 1000 units; tablet; oral"),
    ("vitamin B 12 1 MG Oral Tablet", "cyanocobalamin 1 mg; tablet; oral"),
    ("vitamin B 6 50 MG Oral Tablet", "pyridoxine 50 mg; tablet; oral"),
    ("phenytoin sodium 100 MG Oral Capsule [Dilantin]", "phenytoin 100 mg; capsule; oral"),
    ("omega-3 acid ethyl esters 1000 MG Oral Capsule", "omega-3 acid ethyl esters 1000 mg; capsule; oral"),
    ("5-hydroxytryptophan 100 MG Oral Capsule", "5-hydroxytryptophan 100 mg; capsule; oral"),
    // How it gives its medicine off.
    (
        "24 HR metoprolol succinate 100 MG Extended Release Oral Tablet",
        "metoprolol 100 mg; extended release tablet; oral",
    ),
    (
        "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet [Toprol]",
        "metoprolol 50 mg; extended release tablet; oral",
    ),
    ("24 HR venlafaxine 75 MG Extended Release Oral Capsule", "venlafaxine 75 mg; extended release capsule; oral"),
    (
        "12 HR oxycodone hydrochloride 10 MG Extended Release Oral Tablet",
        "oxycodone 10 mg; extended release tablet; oral",
    ),
    (
        "Abuse-Deterrent 12 HR oxycodone hydrochloride 20 MG Extended Release Oral Tablet [Oxycontin]",
        "oxycodone 20 mg; abuse-deterrent extended release tablet; oral",
    ),
    ("12 HR guaifenesin 600 MG Extended Release Oral Tablet", "guaifenesin 600 mg; extended release tablet; oral"),
    ("24 HR tacrolimus 1 MG Extended Release Oral Tablet", "tacrolimus 1 mg; extended release tablet; oral"),
    (
        "potassium chloride 20 MEQ Extended Release Oral Tablet",
        "potassium chloride 20 mEq; extended release tablet; oral",
    ),
    ("omeprazole 20 MG Delayed Release Oral Capsule", "omeprazole 20 mg; delayed release capsule; oral"),
    (
        "pantoprazole sodium 40 MG Delayed Release Oral Tablet [Protonix]",
        "pantoprazole 40 mg; delayed release tablet; oral",
    ),
    ("aspirin 81 MG Delayed Release Oral Tablet", "aspirin 81 mg; delayed release tablet; oral"),
    ("ondansetron 4 MG Disintegrating Oral Tablet", "ondansetron 4 mg; disintegrating tablet; oral"),
    ("montelukast 5 MG Chewable Tablet [Singulair]", "montelukast 5 mg; chewable tablet; oral"),
    (
        "potassium bicarbonate 25 MEQ Effervescent Oral Tablet",
        "potassium bicarbonate 25 mEq; effervescent tablet; oral",
    ),
    ("nitroglycerin 0.4 MG Sublingual Tablet", "nitroglycerin 0.4 mg; tablet; sublingual"),
    ("buprenorphine 8 MG / naloxone 2 MG Sublingual Film", "buprenorphine 8 mg + naloxone 2 mg; film; sublingual"),
    ("fentanyl 0.2 MG Buccal Tablet", "fentanyl 0.2 mg; tablet; buccal"),
    // Combinations.
    (
        "acetaminophen 325 MG / oxycodone hydrochloride 5 MG Oral Tablet [Percocet]",
        "acetaminophen 325 mg + oxycodone 5 mg; tablet; oral",
    ),
    (
        "acetaminophen 300 MG / codeine phosphate 30 MG Oral Tablet",
        "acetaminophen 300 mg + codeine 30 mg; tablet; oral",
    ),
    (
        "hydrochlorothiazide 12.5 MG / lisinopril 20 MG Oral Tablet",
        "hydrochlorothiazide 12.5 mg + lisinopril 20 mg; tablet; oral",
    ),
    (
        "losartan potassium 100 MG / hydrochlorothiazide 25 MG Oral Tablet [Hyzaar]",
        "hydrochlorothiazide 25 mg + losartan 100 mg; tablet; oral",
    ),
    (
        "amoxicillin 875 MG / clavulanate 125 MG Oral Tablet [Augmentin]",
        "amoxicillin 875 mg + clavulanate 125 mg; tablet; oral",
    ),
    ("Amoxicillin/Clavulanate 875/125 MG Oral Tablet", "amoxicillin 875 mg + clavulanate 125 mg; tablet; oral"),
    ("amoxicillin / clavulanic acid 500/125 mg tablet", "amoxicillin 500 mg + clavulanate 125 mg; tablet; oral"),
    (
        "sulfamethoxazole 800 MG / trimethoprim 160 MG Oral Tablet",
        "sulfamethoxazole 800 mg + trimethoprim 160 mg; tablet; oral",
    ),
    ("carbidopa 25 MG / levodopa 100 MG Oral Tablet", "carbidopa 25 mg + levodopa 100 mg; tablet; oral"),
    (
        "carbidopa 25 MG / entacapone 200 MG / levodopa 100 MG Oral Tablet",
        "carbidopa 25 mg + entacapone 200 mg + levodopa 100 mg; tablet; oral",
    ),
    (
        "acetaminophen 250 MG / aspirin 250 MG / caffeine 65 MG Oral Tablet [Excedrin]",
        "acetaminophen 250 mg + aspirin 250 mg + caffeine 65 mg; tablet; oral",
    ),
    ("sacubitril 49 MG / valsartan 51 MG Oral Tablet [Entresto]", "sacubitril 49 mg + valsartan 51 mg; tablet; oral"),
    (
        "nitrofurantoin, macrocrystals 25 MG / nitrofurantoin, monohydrate 75 MG Oral Capsule",
        "nitrofurantoin 25 mg + nitrofurantoin 75 mg; capsule; oral",
    ),
    (
        "24 HR metformin hydrochloride 1000 MG / sitagliptin 100 MG Extended Release Oral Tablet",
        "metformin 1000 mg + sitagliptin 100 mg; extended release tablet; oral",
    ),
    (
        "isosorbide dinitrate 20 MG / hydralazine hydrochloride 37.5 MG Oral Tablet",
        "hydralazine 37.5 mg + isosorbide dinitrate 20 mg; tablet; oral",
    ),
    (
        "24 HR isosorbide mononitrate 30 MG Extended Release Oral Tablet",
        "isosorbide mononitrate 30 mg; extended release tablet; oral",
    ),
    (
        "acetaminophen 21.7 MG/ML / dextromethorphan hydrobromide 1 MG/ML / doxylamine succinate 0.417 MG/ML Oral Solution",
        "acetaminophen 21.7 mg/mL + dextromethorphan 1 mg/mL + doxylamine 0.417 mg/mL; solution; oral",
    ),
    (
        "atropine sulfate 0.025 MG / diphenoxylate hydrochloride 2.5 MG Oral Tablet",
        "atropine 0.025 mg + diphenoxylate 2.5 mg; tablet; oral",
    ),
    // Liquids.
    ("amoxicillin 50 MG/ML Oral Suspension", "amoxicillin 50 mg/mL; suspension; oral"),
    ("amoxicillin 400 MG/5 ML Oral Suspension", "amoxicillin 400 mg/5 mL; suspension; oral"),
    ("ibuprofen 100 mg/5mL oral suspension", "ibuprofen 100 mg/5 mL; suspension; oral"),
    ("furosemide 10 MG/ML Oral Solution", "furosemide 10 mg/mL; solution; oral"),
    ("lactulose 667 MG/ML Oral Solution", "lactulose 667 mg/mL; solution; oral"),
    ("morphine sulfate 20 MG/ML Oral Solution", "morphine 20 mg/mL; solution; oral"),
    (
        "codeine phosphate 2 MG/ML / guaifenesin 20 MG/ML Oral Solution",
        "codeine 2 mg/mL + guaifenesin 20 mg/mL; solution; oral",
    ),
    ("nystatin 100000 UNT/ML Oral Suspension", "nystatin 100000 units/mL; suspension; oral"),
    ("acetaminophen 160 mg per 5 mL oral solution", "acetaminophen 160 mg/5 mL; solution; oral"),
    ("azithromycin 40 MG/ML Powder for Oral Suspension", "azithromycin 40 mg/mL; powder for oral suspension; oral"),
    (
        "polyethylene glycol 3350 17000 MG Powder for Oral Solution",
        "polyethylene glycol 3350 17000 mg; powder for oral solution; oral",
    ),
    // Injections, containers in front.
    ("1 ML medroxyprogesterone acetate 150 MG/ML Injection", "medroxyprogesterone 150 mg/mL; injection; injection"),
    (
        "0.4 ML enoxaparin sodium 100 MG/ML Prefilled Syringe [Lovenox]",
        "enoxaparin 100 mg/mL; prefilled syringe; injection",
    ),
    ("0.3 ML epinephrine 1 MG/ML Auto-Injector [Epipen]", "epinephrine 1 mg/mL; auto-injector; injection"),
    ("NDA020800 0.3 ML epinephrine 1 MG/ML Auto-Injector", "epinephrine 1 mg/mL; auto-injector; injection"),
    ("10 ML oxaliplatin 5 MG/ML Injection", "oxaliplatin 5 mg/mL; injection; injection"),
    ("100 ML propofol 10 MG/ML Injection", "propofol 10 mg/mL; injection; injection"),
    ("1 ML heparin sodium, porcine 5000 UNT/ML Injection", "heparin 5000 units/mL; injection; injection"),
    ("heparin sodium, porcine 100 UNT/ML Injectable Solution", "heparin 100 units/mL; solution; injection"),
    ("ceftriaxone 1000 MG Injection", "ceftriaxone 1000 mg; injection; injection"),
    (
        "piperacillin 2000 MG / tazobactam 250 MG Injection",
        "piperacillin 2000 mg + tazobactam 250 mg; injection; injection",
    ),
    ("ketorolac tromethamine 30 MG/ML Injectable Solution", "ketorolac 30 mg/mL; solution; injection"),
    ("25 ML protamine sulfate (USP) 10 MG/ML Injection", "protamine 10 mg/mL; injection; injection"),
    ("3 ML amiodarone hydrochloride 50 MG/ML Prefilled Syringe", "amiodarone 50 mg/mL; prefilled syringe; injection"),
    ("magnesium sulfate 500 MG/ML Injectable Solution", "magnesium sulfate 500 mg/mL; solution; injection"),
    ("sodium chloride 9 MG/ML Injectable Solution", "sodium chloride 9 mg/mL; solution; injection"),
    ("1000 ML glucose 50 MG/ML Injection", "glucose 50 mg/mL; injection; injection"),
    ("vitamin B 12 1 MG/ML Injectable Solution", "cyanocobalamin 1 mg/mL; solution; injection"),
    ("0.8 ML adalimumab 50 MG/ML Prefilled Syringe [Humira]", "adalimumab 50 mg/mL; prefilled syringe; injection"),
    ("phytonadione 10 MG/ML Injectable Suspension", "phytonadione 10 mg/mL; suspension; injection"),
    // Insulins.
    ("insulin glargine 100 UNT/ML Injectable Solution [Lantus]", "insulin glargine 100 units/mL; solution; injection"),
    (
        "3 ML insulin glargine 100 UNT/ML Pen Injector [Lantus]",
        "insulin glargine 100 units/mL; pen injector; injection",
    ),
    ("1.5 ML insulin glargine 300 UNT/ML Pen Injector", "insulin glargine 300 units/mL; pen injector; injection"),
    ("3 ML insulin lispro 100 UNT/ML Pen Injector [Humalog]", "insulin lispro 100 units/mL; pen injector; injection"),
    ("3 ML insulin aspart, human 100 UNT/ML Cartridge", "insulin aspart 100 units/mL; cartridge; injection"),
    ("insulin, regular, human 100 UNT/ML Injectable Solution", "insulin regular 100 units/mL; solution; injection"),
    ("NPH insulin, human 100 UNT/ML Injectable Suspension", "insulin isophane 100 units/mL; suspension; injection"),
    (
        "insulin isophane, human 70 UNT/ML / insulin, regular, human 30 UNT/ML Injectable Suspension [Humulin]",
        "insulin isophane 70 units/mL + insulin regular 30 units/mL; suspension; injection",
    ),
    (
        "3 ML insulin lispro 25 UNT/ML / insulin lispro protamine, human 75 UNT/ML Pen Injector",
        "insulin lispro 25 units/mL + insulin lispro protamine 75 units/mL; pen injector; injection",
    ),
    ("insulin degludec 200 UNT/ML Pen Injector [Tresiba]", "insulin degludec 200 units/mL; pen injector; injection"),
    ("Lantus 100 unit/ml injectable solution", "insulin glargine 100 units/mL; solution; injection"),
    ("Lantus SoloStar 100 units/mL", "insulin glargine 100 units/mL; pen injector; injection"),
    ("semaglutide 1.34 MG/ML Pen Injector [Ozempic]", "semaglutide 1.34 mg/mL; pen injector; injection"),
    // Inhalers and nebulisers.
    (
        "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
        "albuterol 0.09 mg/puff; metered dose inhaler; inhalation",
    ),
    (
        "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler [Ventolin]",
        "albuterol 0.09 mg/puff; metered dose inhaler; inhalation",
    ),
    (
        "120 ACTUAT fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler [Flovent]",
        "fluticasone 0.044 mg/puff; metered dose inhaler; inhalation",
    ),
    (
        "60 ACTUAT fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler [Advair]",
        "fluticasone 0.25 mg/puff + salmeterol 0.05 mg/puff; dry powder inhaler; inhalation",
    ),
    (
        "30 ACTUAT fluticasone furoate 0.1 MG/ACTUAT / umeclidinium 0.0625 MG/ACTUAT / vilanterol 0.025 MG/ACTUAT Dry Powder Inhaler [Trelegy]",
        "fluticasone 0.1 mg/puff + umeclidinium 0.0625 mg/puff + vilanterol 0.025 mg/puff; dry powder inhaler; inhalation",
    ),
    (
        "120 ACTUAT budesonide 0.16 MG/ACTUAT / formoterol fumarate 0.0045 MG/ACTUAT Metered Dose Inhaler [Symbicort]",
        "budesonide 0.16 mg/puff + formoterol 0.0045 mg/puff; metered dose inhaler; inhalation",
    ),
    ("tiotropium 0.018 MG Inhalation Powder [Spiriva]", "tiotropium 0.018 mg; dry powder inhaler; inhalation"),
    (
        "60 ACTUAT tiotropium 0.0025 MG/ACTUAT Inhalation Spray",
        "tiotropium 0.0025 mg/puff; inhalation spray; inhalation",
    ),
    ("albuterol 0.83 MG/ML Inhalation Solution", "albuterol 0.83 mg/mL; solution; inhalation"),
    ("budesonide 0.25 MG/ML Inhalation Suspension", "budesonide 0.25 mg/mL; suspension; inhalation"),
    (
        "albuterol 0.83 MG/ML / ipratropium bromide 0.167 MG/ML Inhalation Solution",
        "albuterol 0.83 mg/mL + ipratropium 0.167 mg/mL; solution; inhalation",
    ),
    ("salbutamol 100 micrograms/dose inhaler", "albuterol 100 mcg; metered dose inhaler; inhalation"),
    ("desflurane 1000 MG/ML Inhalation Solution", "desflurane 1000 mg/mL; solution; inhalation"),
    // Noses, eyes, ears, skin.
    (
        "120 ACTUAT fluticasone propionate 0.05 MG/ACTUAT Metered Dose Nasal Spray [Flonase]",
        "fluticasone 0.05 mg/puff; metered dose nasal spray; nasal",
    ),
    ("oxymetazoline hydrochloride 0.5 MG/ML Nasal Spray", "oxymetazoline 0.5 mg/mL; spray; nasal"),
    ("mometasone furoate 0.05 MG/ACTUAT Nasal Inhaler [Nasonex]", "mometasone 0.05 mg/puff; nasal inhaler; nasal"),
    ("latanoprost 0.05 MG/ML Ophthalmic Solution", "latanoprost 0.05 mg/mL; solution; ophthalmic"),
    ("erythromycin 5 MG/GM Ophthalmic Ointment", "erythromycin 5 mg/g; ointment; ophthalmic"),
    (
        "dorzolamide 20 MG/ML / timolol 5 MG/ML Ophthalmic Solution",
        "dorzolamide 20 mg/mL + timolol 5 mg/mL; solution; ophthalmic",
    ),
    (
        "ciprofloxacin 3 MG/ML / dexamethasone 1 MG/ML Otic Suspension",
        "ciprofloxacin 3 mg/mL + dexamethasone 1 mg/mL; suspension; otic",
    ),
    ("hydrocortisone 10 MG/ML Topical Cream", "hydrocortisone 10 mg/mL; cream; topical"),
    ("Hydrocortisone 1% cream", "hydrocortisone 1 %; cream; topical"),
    ("triamcinolone acetonide 0.001 MG/MG Topical Ointment", "triamcinolone acetonide 0.001 mg/mg; ointment; topical"),
    ("diclofenac sodium 0.01 MG/MG Topical Gel [Voltaren]", "diclofenac 0.01 mg/mg; gel; topical"),
    ("sodium fluoride 0.0272 MG/MG Oral Gel", "sodium fluoride 0.0272 mg/mg; gel; oral"),
    ("clotrimazole 10 MG/ML Vaginal Cream", "clotrimazole 10 mg/mL; cream; vaginal"),
    ("isopropyl alcohol 0.7 ML/ML Topical Solution", "isopropyl alcohol 0.7 mL/mL; solution; topical"),
    (
        "lidocaine 25 MG/ML / prilocaine 25 MG/ML Topical Cream Kit",
        "lidocaine 25 mg/mL + prilocaine 25 mg/mL; cream; topical; pack",
    ),
    // Patches, rings, implants, systems.
    ("72 HR fentanyl 0.025 MG/HR Transdermal System [Duragesic]", "fentanyl 0.025 mg/h; patch; transdermal"),
    ("Fentanyl 25micrograms/hour patch", "fentanyl 25 mcg/h; patch; transdermal"),
    ("24 HR nicotine 0.875 MG/HR Transdermal System", "nicotine 0.875 mg/h; patch; transdermal"),
    ("nicotine 21 MG/24HR Transdermal Patch", "nicotine 21 mg/24 h; patch; transdermal"),
    ("168 HR buprenorphine 0.01 MG/HR Transdermal System", "buprenorphine 0.01 mg/h; patch; transdermal"),
    ("24 HR nitroglycerin 0.2 MG/HR Transdermal System", "nitroglycerin 0.2 mg/h; patch; transdermal"),
    ("lidocaine 0.05 MG/MG Medicated Patch", "lidocaine 0.05 mg/mg; patch; transdermal"),
    (
        "168 HR ethinyl estradiol 0.00146 MG/HR / norelgestromin 0.00625 MG/HR Transdermal System",
        "ethinyl estradiol 0.00146 mg/h + norelgestromin 0.00625 mg/h; patch; transdermal",
    ),
    (
        "NuvaRing 0.12/0.015 MG per 24HR 21 Day Vaginal System",
        "ethinyl estradiol 0.015 mg/24 h + etonogestrel 0.12 mg/24 h; ring; vaginal",
    ),
    ("Mirena 52 MG Intrauterine System", "levonorgestrel 52 mg; intrauterine system; intrauterine"),
    ("etonogestrel 68 MG Drug Implant [Nexplanon]", "etonogestrel 68 mg; implant; implant"),
    // Rectal.
    ("acetaminophen 650 MG Rectal Suppository", "acetaminophen 650 mg; suppository; rectal"),
    ("Paracetamol 240mg suppository (product)", "acetaminophen 240 mg; suppository; rectal"),
    ("mesalamine 4000 MG Enema", "mesalamine 4000 mg; enema; rectal"),
    // Sprays into the mouth.
    ("200 ACTUAT nitroglycerin 0.4 MG/ACTUAT Mucosal Spray", "nitroglycerin 0.4 mg/puff; spray; mucosal"),
    // Packs and kits.
    (
        "{21 (ethinyl estradiol 0.03 MG / levonorgestrel 0.15 MG Oral Tablet) / 7 (inert ingredients Oral Tablet) } Pack",
        "ethinyl estradiol + levonorgestrel = 21 × ethinyl estradiol 0.03 mg / levonorgestrel 0.15 mg + 7 × inert ingredients; tablet; oral; pack",
    ),
    (
        "{7 (ethinyl estradiol 0.035 MG / norethindrone 0.5 MG Oral Tablet) / 14 (ethinyl estradiol 0.035 MG / norethindrone 1 MG Oral Tablet) } Pack [Nortrel]",
        "ethinyl estradiol + norethindrone = 7 × ethinyl estradiol 0.035 mg / norethindrone 0.5 mg + 14 × ethinyl estradiol 0.035 mg / norethindrone 1 mg; tablet; oral; pack",
    ),
    (
        "{21 (methylprednisolone 4 MG Oral Tablet) } Pack [Medrol]",
        "methylprednisolone = 21 × methylprednisolone 4 mg; tablet; oral; pack",
    ),
    ("{6 (azithromycin 250 MG Oral Tablet) } Pack", "azithromycin = 6 × azithromycin 250 mg; tablet; oral; pack"),
    (
        "{14 (amoxicillin 500 MG Oral Capsule) / 14 (clarithromycin 500 MG Oral Tablet) / 14 (lansoprazole 30 MG Delayed Release Oral Capsule) } Pack",
        "amoxicillin + clarithromycin + lansoprazole = 14 × amoxicillin 500 mg + 14 × clarithromycin 500 mg + 14 × lansoprazole 30 mg; capsule; oral; pack",
    ),
    ("Yaz 28 Day Pack", "drospirenone 3 mg + ethinyl estradiol 0.02 mg; tablet; oral; pack"),
    ("Levora 0.15/30 28 Day Pack", "ethinyl estradiol 0.03 mg + levonorgestrel 0.15 mg; tablet; oral; pack"),
    ("Camila 28 Day Pack", "norethindrone 0.35 mg; tablet; oral; pack"),
    ("Sprintec 28 Day Pack", "sprintec; ; -; pack ! no strength for each substance ! no dose form"),
    (
        "{1 (ampicillin 1000 MG Injection) / 1 (sulbactam 500 MG Injection) } Kit",
        "ampicillin + sulbactam = 1 × ampicillin 1000 mg + 1 × sulbactam 500 mg; injection; injection; pack",
    ),
    // As people write.
    ("metformin 500 mg tablet", "metformin 500 mg; tablet; oral"),
    ("levothyroxine 75 microgram tablet", "levothyroxine 75 mcg; tablet; oral"),
    ("Levothyroxine 75mcg tab", "levothyroxine 75 mcg; tablet; oral"),
    ("Metoprolol ER 50 mg tablet", "metoprolol 50 mg; extended release tablet; oral"),
    ("metoprolol tartrate 25mg tabs", "metoprolol 25 mg; tablet; oral"),
    ("Aspirin EC 81 mg", "aspirin 81 mg; delayed release; - ! no dose form"),
    ("Coumadin 5mg tablet", "warfarin 5 mg; tablet; oral"),
    ("Lasix 40mg", "furosemide 40 mg; ; - ! no dose form"),
    ("Azithromycin 250mg tablet, film coated (Somebody Pharmaceuticals LLC)", "azithromycin 250 mg; tablet; oral"),
    (
        "Ceftriaxone sodium 500mg powder for injection solution vial (product)",
        "ceftriaxone 500 mg; powder for injection; injection",
    ),
    ("Alprazolam 0.25mg (Xanax)", "alprazolam 0.25 mg; ; - ! no dose form"),
    (
        "Zosyn (piperacillin/tazobactam) 4.5gm injection",
        "piperacillin + tazobactam; injection; injection ! no strength for each substance",
    ),
    ("Tylenol PM", "acetaminophen + diphenhydramine; ; - ! no strength for each substance ! no dose form"),
    ("Amoxicillin (product)", "amoxicillin; ; - ! no strength for each substance ! no dose form"),
    ("Hydrochlorothiazide 25 MG", "hydrochlorothiazide 25 mg; ; - ! no dose form"),
    ("Simvistatin 10 MG", "simvastatin 10 mg; ; - ! no dose form"),
    ("APAP 500 mg tablet", "acetaminophen 500 mg; tablet; oral"),
    ("HCTZ 25 mg tab", "hydrochlorothiazide 25 mg; tablet; oral"),
    ("vitamin C 500 mg chewable tablet", "ascorbic acid 500 mg; chewable tablet; oral"),
    ("acetaminophen 500 MG Oral Tablet blue", "acetaminophen 500 mg; tablet; oral ! 'blue' is not understood"),
    ("10 MG Oral Tablet", "; tablet; oral ! no substance is named"),
    ("", "; ; - ! no substance is named ! no dose form"),
    ("???", "; ; - ! no substance is named ! no dose form ! '???' is not understood"),
];

#[test]
fn each_display_is_read_as_by_hand() {
    assert!(DISPLAYS.len() >= 150, "{} displays", DISPLAYS.len());
    let tables = tables();
    let mut wrong = Vec::new();
    for (display, hand) in DISPLAYS {
        let read = told(&read(&tables, display));
        if read != *hand {
            wrong.push(format!("{display}\n  read {read}\n  hand {hand}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), DISPLAYS.len(), wrong.join("\n"));
}

#[test]
fn the_same_strength_in_other_units_is_the_same() {
    let tables = tables();
    for (a, b, same) in [
        ("levothyroxine 75 microgram tablet", "levothyroxine sodium 0.075 MG Oral Tablet", true),
        ("amoxicillin 250 MG/5 ML Oral Suspension", "amoxicillin 50 MG/ML Oral Suspension", true),
        ("amoxicillin 1 g tablet", "amoxicillin 1000 MG Oral Tablet", true),
        (
            "losartan 50 MG / hydrochlorothiazide 12.5 MG Oral Tablet",
            "hydrochlorothiazide 12.5 MG / losartan potassium 50 MG Oral Tablet",
            true,
        ),
        ("lisinopril 10 MG Oral Tablet [Zestril]", "lisinopril 10.0 MG Oral Tablet", true),
        ("lisinopril 10 MG Oral Tablet", "lisinopril 20 MG Oral Tablet", false),
        (
            "metoprolol tartrate 50 MG Oral Tablet",
            "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet",
            false,
        ),
        ("hydrocortisone 10 MG/ML Topical Cream", "hydrocortisone 10 MG Oral Tablet", false),
        ("nicotine 21 MG/24HR Transdermal Patch", "24 HR nicotine 0.875 MG/HR Transdermal System", true),
    ] {
        let (left, right) = (read(&tables, a).medicine, read(&tables, b).medicine);
        assert_eq!(left.is_same_product(&right), same, "{a} and {b}");
        assert_eq!(right.is_same_product(&left), same, "{b} and {a}");
    }
}

proptest::proptest! {
    /// Whatever is sent: an answer, no panic, and the same twice.
    #[test]
    fn any_text_is_read_without_a_panic(text in "[a-zA-Z0-9 /\\[\\](){},.%µ½-]{0,80}|\\PC{0,40}") {
        let tables = tables();
        proptest::prop_assert_eq!(read(&tables, &text), read(&tables, &text));
    }
}
